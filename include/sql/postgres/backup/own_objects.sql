-- What somebody has made in this database: a restore goes into an empty one only.
select format('%%s %%I.%%I', case when c.relkind = 'S' then 'sequence' else 'table' end, n.nspname, c.relname) as found
from pg_class as c
inner join pg_namespace as n on c.relnamespace = n.oid
where
    n.nspname !~ '^pg_' and n.nspname != 'information_schema'
    and not exists (
        select from pg_depend as d
        where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
union all
select format('function %%s', p.oid::regprocedure)
from pg_proc as p
inner join pg_namespace as n on p.pronamespace = n.oid
where
    n.nspname !~ '^pg_' and n.nspname != 'information_schema'
    and not exists (
        select from pg_depend as d
        where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
    )
union all
select format('schema %%I', n.nspname)
from pg_namespace as n
where
    n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'public')
    and not exists (
        select from pg_depend as d
        where d.classid = 'pg_namespace'::regclass and d.objid = n.oid and d.deptype = 'e'
    )
order by 1
limit 5
