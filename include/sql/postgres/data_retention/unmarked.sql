-- Tables that Upkeep remembers to have detached, as they are now, with or without its marker.
select
    c.oid::bigint as oid,
    n.nspname::text as schema,
    c.relname::text as name,
    c.relispartition as is_partition
from pg_class as c
inner join pg_namespace as n on c.relnamespace = n.oid
where c.oid = any(%(oids)s::oid[])
