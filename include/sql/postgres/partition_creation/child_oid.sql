-- The object id of the table that was just made.
select c.oid::bigint as oid
from pg_class as c
inner join pg_namespace as n on c.relnamespace = n.oid
where n.nspname = %(schema)s and c.relname = %(name)s
