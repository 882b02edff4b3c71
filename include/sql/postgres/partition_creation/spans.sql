-- The bounds of all partitions of all parents, one row a parent: thousands of partitions in a single answer. Names
-- only where they may have to be said.
-- pg_get_expr with a table (here 0: bounds name no column) would wait for whoever locks that partition.
select
    i.inhparent::bigint as parent,
    array_agg(c.oid::bigint) as oids,
    array_agg(pg_get_expr(c.relpartbound, 0)) as bounds,
    array_agg(c.oid::bigint) filter (where c.relkind = 'p') as parents,
    array_agg(n.nspname::text) filter (where c.relkind = 'p') as parent_schemas,
    array_agg(c.relname::text) filter (where c.relkind = 'p') as parent_names,
    array_agg(n.nspname::text) filter (where p.partstrat != 'r') as schemas,
    array_agg(c.relname::text) filter (where p.partstrat != 'r') as names,
    array_agg(format('%%I.%%I', n.nspname, c.relname) order by c.relname) filter (
        where c.relpersistence = 'u'
    ) as unlogged,
    array_agg(c.oid::bigint) filter (where c.relkind = 'f') as foreign_oids,
    array_agg(n.nspname::text) filter (where i.inhdetachpending) as pending_schemas,
    array_agg(c.relname::text) filter (where i.inhdetachpending) as pending_names,
    max(c.oid::bigint) filter (where c.oid = p.partdefid) as default_oid,
    max(n.nspname::text) filter (where c.oid = p.partdefid) as default_schema,
    max(c.relname::text) filter (where c.oid = p.partdefid) as default_name
from pg_inherits as i
inner join pg_class as c on i.inhrelid = c.oid
inner join pg_namespace as n on c.relnamespace = n.oid
inner join pg_partitioned_table as p on i.inhparent = p.partrelid
where i.inhparent = any(%(parents)s::oid[])
group by i.inhparent
