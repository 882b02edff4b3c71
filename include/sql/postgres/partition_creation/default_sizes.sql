-- Which default partitions may hold rows: no bytes, no rows, and nothing to count.
select
    d.oid::bigint as oid,
    (select sum(pg_relation_size(t.relid))::bigint from pg_partition_tree(d.oid) as t where t.isleaf) as bytes
from unnest(%(oids)s::oid[]) as d (oid)
