-- Every sequence; those of identity columns too.
select
    n.nspname::text as schema,
    c.relname::text as name
from pg_class as c
inner join pg_namespace as n on c.relnamespace = n.oid
where c.relkind = 'S' and c.relpersistence != 't'
