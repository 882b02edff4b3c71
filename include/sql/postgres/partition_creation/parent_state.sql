-- Whether a parent is still the one that was observed: by object id, just before it is changed.
select
    n.nspname::text as schema,
    c.relname::text as name,
    nullif(p.partdefid, 0)::bigint as default_oid
from pg_class as c
inner join pg_namespace as n on c.relnamespace = n.oid
inner join pg_partitioned_table as p on c.oid = p.partrelid
where c.oid = %(oid)s::oid
