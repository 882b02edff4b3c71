-- What keeps a partition (with what is below it) from ever being dropped, looked at while it is still attached: foreign
-- tables, whose rows are elsewhere; an owner that is not ours; and what depends on it by its own name: views, rules,
-- functions, policies of other tables, foreign keys that name the partition itself, uses of its row type.
-- What belongs to the partition goes with it.
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

needed as (
    select
        m.root,
        d.classid,
        d.objid,
        d.objsubid,
        w.ev_class,
        w.rulename,
        coalesce(w.ev_class, f.conrelid, t.tgrelid, p.polrelid, a.adrelid) as of_table
    from members as m
    inner join pg_class as c on m.member = c.oid
    left join pg_type as y on c.reltype = y.oid
    inner join pg_depend as d
        on
            d.deptype = 'n'
            and (
                (d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid)
                or (d.refclassid = 'pg_type'::regclass and d.refobjid in (y.oid, y.typarray))
            )
    left join pg_rewrite as w on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
    left join pg_constraint as f on d.classid = 'pg_constraint'::regclass and d.objid = f.oid
    left join pg_trigger as t on d.classid = 'pg_trigger'::regclass and d.objid = t.oid
    left join pg_policy as p on d.classid = 'pg_policy'::regclass and d.objid = p.oid
    left join pg_attrdef as a on d.classid = 'pg_attrdef'::regclass and d.objid = a.oid
    where
        coalesce(f.conparentid, 0) = 0
        and not (
            d.classid = 'pg_class'::regclass and d.objid in (select x.member from members as x where x.root = m.root)
        )
)

select
    r.oid::bigint as oid,
    pg_get_userbyid(r.relowner)::text as owner,
    pg_has_role(r.relowner, 'usage') as may_drop,
    array(
        select format('%%I.%%I', n.nspname, l.relname)
        from members as m
        inner join pg_class as l on m.member = l.oid
        inner join pg_namespace as n on l.relnamespace = n.oid
        where m.root = r.oid and l.relkind = 'f'
        order by l.relname
    ) as foreign_tables,
    array(
        select distinct
            case
                when n.ev_class is null then pg_describe_object(n.classid, n.objid, n.objsubid)
                when n.rulename = '_RETURN' then pg_describe_object('pg_class'::regclass, n.ev_class, 0)
                else pg_describe_object(n.classid, n.objid, 0)
            end as needs
        from needed as n
        where
            n.root = r.oid
            and not coalesce(n.of_table in (select x.member from members as x where x.root = r.oid), false)
        order by needs
    ) as dependants
from pg_class as r
where r.oid = any(%(oids)s::oid[])
order by r.oid
