-- The partitions of all parents at once, with their bounds as the catalog has them: names are never trusted.
-- A comment that starts with "upkeep" is a marker of ours.
-- pg_get_expr with a table (here 0: bounds name no column) would wait for whoever locks that partition.
select
    i.inhparent::bigint as parent,
    c.oid::bigint as oid,
    n.nspname::text as schema,
    c.relname::text as name,
    c.relkind::text as kind,
    pg_get_expr(c.relpartbound, 0) as bounds,
    i.inhdetachpending as detach_pending,
    c.reltuples::double precision as rows,
    c.relpages as pages,
    d.description as marker
from pg_inherits as i
inner join pg_class as c on i.inhrelid = c.oid
inner join pg_namespace as n on c.relnamespace = n.oid
left join pg_description as d
    on c.oid = d.objoid and d.classoid = 'pg_class'::regclass and d.objsubid = 0 and d.description like 'upkeep%%'
where i.inhparent = any(%(parents)s::oid[])
