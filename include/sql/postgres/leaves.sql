-- The tables that really hold the rows of the given tables (themselves, or their partitions at the lowest level),
-- with their true size and whether an index leads with the age column: rows are deleted leaf by leaf.
-- The estimate of rows is the planner's way: the density of the last ANALYZE times the pages there are now.
-- The walk over partitions is that of foreign_below, which says why it is written out.
with recursive members as (
    select
        w.root,
        w.age,
        w.root as member,
        null::oid as top,
        array[w.root] as path
    from unnest(%(roots)s::oid[], %(ages)s::text[]) as w (root, age)
    union
    select
        m.root,
        m.age,
        i.inhrelid as member,
        coalesce(m.top, i.inhrelid) as top,
        m.path || i.inhrelid as path
    from members as m
    inner join pg_partitioned_table as k on m.member = k.partrelid
    inner join pg_inherits as i on m.member = i.inhparent
)

select
    w.root::bigint as root,
    c.oid::bigint as oid,
    n.nspname::text as schema,
    c.relname::text as name,
    c.relkind::text as kind,
    w.top::bigint as top,
    w.path::bigint[] as path,
    coalesce(i.inhdetachpending, false) as detach_pending,
    s.pages,
    case
        when c.reltuples >= 0 and c.relpages > 0 then c.reltuples / c.relpages * s.pages
        when s.pages = 0 then 0
        when c.reltuples > 0 then c.reltuples
        else nullif(pg_stat_get_live_tuples(c.oid), 0)
    end::double precision as rows,
    exists(
        select
        from pg_index as x
        inner join pg_class as xc on x.indexrelid = xc.oid
        inner join pg_am as m on xc.relam = m.oid
        inner join pg_attribute as a on x.indrelid = a.attrelid and x.indkey[0] = a.attnum
        where x.indrelid = c.oid and x.indisvalid and x.indpred is null and m.amname = 'btree' and a.attname = w.age
    ) as ordered,
    exists(
        select
        from pg_index as x
        inner join pg_class as xc on x.indexrelid = xc.oid
        inner join pg_am as m on xc.relam = m.oid
        inner join pg_attribute as a on x.indrelid = a.attrelid and a.attnum = any(x.indkey)
        where x.indrelid = c.oid and x.indisvalid and x.indpred is null and m.amname = 'brin' and a.attname = w.age
    ) as brin,
    not current_setting('autovacuum')::boolean or exists (
        select
        from unnest(c.reloptions) as o (setting)
        where o.setting in ('autovacuum_enabled=false', 'autovacuum_enabled=off')
    ) as autovacuum_off
from members as w
inner join pg_class as c on w.member = c.oid
inner join pg_namespace as n on c.relnamespace = n.oid
left join pg_inherits as i on c.oid = i.inhrelid and c.relispartition
cross join
    lateral (
        select case when c.relkind in ('r', 'm', 't') then pg_relation_size(c.oid) / 8192 else 0 end as pages
    ) as s
where c.relkind in ('r', 'f')
order by w.root, n.nspname, c.relname
