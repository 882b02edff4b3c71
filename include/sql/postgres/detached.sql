-- Tables that carry our marker: detached by us, waiting out their grace period (or attached again by somebody); all, or
-- one by its object id. With what else would go with them (objects: triggers, rules, policies, publications) and what
-- would stand in the way (dependants), of their partitions too: not what goes with them, as a column that is generated
-- from others does.
select
    c.oid::bigint as oid,
    n.nspname::text as schema,
    c.relname::text as name,
    c.relkind::text as kind,
    c.relispartition as is_partition,
    coalesce(i.inhdetachpending, false) as detach_pending,
    i.inhparent::bigint as parent,
    case
        when c.relkind = 'p'
            then (
                select coalesce(sum(greatest(l.reltuples, 0)), 0)
                from pg_partition_tree(c.oid) as t
                inner join pg_class as l on t.relid = l.oid and t.isleaf
            )
        else c.reltuples
    end::double precision as rows,
    case
        when c.relkind = 'r' then pg_relation_size(c.oid) / 8192
        when c.relkind = 'p'
            then (select coalesce(sum(pg_relation_size(t.relid)) / 8192, 0)::bigint from pg_partition_tree(c.oid) as t)
        else c.relpages
    end as pages,
    d.description as marker,
    pg_get_userbyid(c.relowner)::text as owner,
    coalesce((select o.rolsuper from pg_roles as o where o.oid = c.relowner), false) as owner_is_superuser,
    pg_has_role(c.relowner, 'usage') as may_alter,
    array(
        select f.conname::text from pg_constraint as f where f.conrelid = c.oid and f.contype = 'f' order by f.conname
    ) as foreign_keys,
    array(
        select distinct pg_describe_object(p.classid, p.objid, p.objsubid)
        from pg_depend as p
        left join pg_constraint as f on p.classid = 'pg_constraint'::regclass and p.objid = f.oid
        where
            p.refclassid = 'pg_class'::regclass and p.refobjid = any(m.members) and p.deptype = 'n'
            and coalesce(f.conrelid, 0) != all(m.members)
            and not exists (
                select
                from pg_depend as o
                where
                    o.classid = p.classid and o.objid = p.objid and o.refclassid = 'pg_class'::regclass
                    and o.refobjid = any(m.members) and o.deptype in ('a', 'i')
            )
    ) as dependants,
    coalesce((
        select
            jsonb_agg(
                distinct jsonb_build_object('oid', p.objid::bigint, 'what', pg_describe_object(p.classid, p.objid, 0))
            )
        from pg_depend as p
        left join pg_trigger as t on p.classid = 'pg_trigger'::regclass and p.objid = t.oid
        where
            p.refclassid = 'pg_class'::regclass and p.refobjid = any(m.members) and p.deptype = 'a'
            and not coalesce(t.tgisinternal, false)
            and p.classid in (
                'pg_trigger'::regclass, 'pg_rewrite'::regclass, 'pg_policy'::regclass, 'pg_publication_rel'::regclass
            )
    ), '[]') as objects
from pg_description as d
inner join pg_class as c on d.objoid = c.oid
inner join pg_namespace as n on c.relnamespace = n.oid
left join pg_inherits as i on c.oid = i.inhrelid and c.relispartition
cross join
    lateral (
        select
            case
                when c.relkind = 'p' then array(select t.relid::oid from pg_partition_tree(c.oid) as t)
                else array[c.oid]
            end as members
    ) as m
where
    d.classoid = 'pg_class'::regclass and d.objsubid = 0
    and d.description like 'upkeep: {{%%' and d.description like '%%"detached_from"%%'
    and c.relkind in ('r', 'p', 'f')
    and c.oid = coalesce(%(oid)s::oid, c.oid)
