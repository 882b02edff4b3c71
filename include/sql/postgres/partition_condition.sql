-- What a partition takes, all levels above it included, as the server puts it.
select
    c.oid::bigint as oid,
    pg_get_partition_constraintdef(c.oid) as condition
from pg_class as c
where c.oid = any(%(oids)s::oid[]) and c.relispartition
