-- The present name of a table that is known by its object id; no row when it is gone.
select
    n.nspname::text as schema,
    c.relname::text as name
from pg_class as c
inner join pg_namespace as n on c.relnamespace = n.oid
where c.oid = %(oid)s::oid
