-- The comments of the tables with these names.
select
    n.nspname || '.' || c.relname as subject,
    obj_description(c.oid, 'pg_class') as comment
from pg_class as c
inner join pg_namespace as n on c.relnamespace = n.oid
where n.nspname || '.' || c.relname = any(%(names)s) and c.relkind in ('r', 'p')
order by 1;
