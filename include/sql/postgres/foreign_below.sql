-- Foreign tables among the given tables and all their partitions: their rows lie on another server.
-- The same walk over partitions stands in leaves, held, facts and archive_members. It is written out because no view of
-- ours may be left on a target, and because pg_partition_tree() locks every partition (ACCESS SHARE): a single one that
-- somebody holds exclusively would make the look at all of them wait.
with recursive members as (
    select
        w.root,
        w.root as member
    from unnest(%(oids)s::oid[]) as w (root)
    union
    select
        m.root,
        i.inhrelid as member
    from members as m
    inner join pg_partitioned_table as k on m.member = k.partrelid
    inner join pg_inherits as i on m.member = i.inhparent
)

select
    m.root::bigint as oid,
    array_agg(format('%%I.%%I', n.nspname, c.relname) order by c.oid) as names
from members as m
inner join pg_class as c on m.member = c.oid
inner join pg_namespace as n on c.relnamespace = n.oid
where c.relkind = 'f'
group by m.root
