-- What keeps a partition (with what is below it) from ever being dropped, looked at while it is still attached: foreign
-- tables, whose rows are elsewhere; an owner that is not ours; and what depends on it by its own name: views, rules,
-- functions, policies of other tables, foreign keys that name the partition itself, uses of its row type.
-- What belongs to the partition (it also depends automatically or internally) goes with it.
-- OFFSET 0 keeps the look-ups apart: each goes through an index, whatever the catalogs' statistics say.
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
),

trees as (
    select
        m.root,
        array_agg(m.member) as members
    from members as m
    group by m.root
)

select
    r.oid::bigint as oid,
    pg_get_userbyid(r.relowner)::text as owner,
    coalesce((select o.rolsuper from pg_roles as o where o.oid = r.relowner), false) as owner_is_superuser,
    pg_has_role(r.relowner, 'usage') as may_drop,
    array(
        select format('%%I.%%I', n.nspname, l.relname)
        from pg_class as l
        inner join pg_namespace as n on l.relnamespace = n.oid
        where l.oid = any(t.members) and l.relkind = 'f'
        order by l.relname
    ) as foreign_tables,
    array(
        select distinct
            case
                when w.ev_class is null then pg_describe_object(d.classid, d.objid, d.objsubid)
                when w.rulename = '_RETURN' then pg_describe_object('pg_class'::regclass, w.ev_class, 0)
                else pg_describe_object(d.classid, d.objid, 0)
            end as needs
        from (
            select
                'pg_class'::regclass::oid as kind,
                u.oid
            from unnest(t.members) as u (oid)
            union all
            select
                'pg_type'::regclass::oid as kind,
                unnest(array[y.oid, y.typarray]) as oid
            from pg_class as c
            inner join pg_type as y on c.reltype = y.oid
            where c.oid = any(t.members)
        ) as s
        cross join
            lateral (
                select
                    p.classid,
                    p.objid,
                    p.objsubid
                from pg_depend as p
                where p.refclassid = s.kind and p.refobjid = s.oid and p.deptype = 'n'
                offset 0 -- noqa: AM09
            ) as d
        left join pg_rewrite as w on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
        left join pg_constraint as f on d.classid = 'pg_constraint'::regclass and d.objid = f.oid
        where
            coalesce(f.conparentid, 0) = 0
            and not (d.classid = 'pg_class'::regclass and d.objid = any(t.members))
            and not exists (
                select
                from pg_depend as o
                where
                    o.classid = d.classid and o.objid = d.objid and o.refclassid = 'pg_class'::regclass
                    and o.refobjid = any(t.members) and o.deptype in ('a', 'i')
                offset 0 -- noqa: AM09
            )
        order by needs
    ) as dependants
from trees as t
inner join pg_class as r on t.root = r.oid
order by r.oid
