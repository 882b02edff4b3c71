-- The given tables with all their partitions: where their rows would really lie. What a parent says of itself
-- (persistence, columns that may be null) is not what its partitions do.
-- The walk over partitions is that of foreign_below, which says why it is written out.
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
    m.root::bigint as root,
    c.oid::bigint as oid,
    n.nspname::text as schema,
    c.relname::text as name,
    c.relkind::text as kind,
    c.relpersistence::text as persistence,
    array(
        select a.attname::text
        from pg_attribute as a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attnotnull
        order by a.attnum
    ) as not_null,
    array(
        select a.attname::text
        from pg_partitioned_table as p
        inner join pg_attribute as a on p.partrelid = a.attrelid and a.attnum = any(p.partattrs::smallint[])
        where p.partrelid = c.oid
        order by a.attname
    ) as partitioned_by
from members as m
inner join pg_class as c on m.member = c.oid
inner join pg_namespace as n on c.relnamespace = n.oid
order by m.root asc, (c.oid != m.root) asc, c.oid asc
