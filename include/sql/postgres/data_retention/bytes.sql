-- How large a table is on disk, its partitions included.
select coalesce(sum(pg_relation_size(t.relid)), 0)::bigint as bytes
from (
    select p.relid
    from pg_partition_tree(%(oid)s::oid) as p
    union
    select c.oid
    from pg_class as c
    where c.oid = %(oid)s::oid
) as t
