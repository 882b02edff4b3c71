-- Which default partitions may hold rows: no bytes, no rows, and nothing to count.
select
    d.oid::bigint as oid,
    pg_relation_size(d.oid) as bytes
from unnest(%(oids)s::oid[]) as d (oid)
