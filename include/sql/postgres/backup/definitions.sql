-- What the database holds beside its tables, a line each; what an extension brought is its own affair.
with own as (
    select n.oid, n.nspname
    from pg_namespace as n
    where
        n.nspname !~ '^pg_' and n.nspname != 'information_schema'
        and not exists (
            select from pg_depend as d
            where d.classid = 'pg_namespace'::regclass and d.objid = n.oid and d.deptype = 'e'
        )
),

members as (
    select d.classid, d.objid from pg_depend as d where d.deptype = 'e'
)

select format('extension %%I', e.extname) as definition
from pg_extension as e
union all
select format('schema %%I', o.nspname) from own as o
union all
select
    format('%%s %%I.%%I (', case when c.relkind = 'v' then 'view' else 'type' end, o.nspname, c.relname)
    || (
        select string_agg(quote_ident(a.attname), ', ' order by a.attnum)
        from pg_attribute as a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ) || ')'
from pg_class as c
inner join own as o on c.relnamespace = o.oid
where c.relkind in ('v', 'c') and (c.tableoid, c.oid) not in (select m.classid, m.objid from members as m)
union all
select
    format(
        'sequence %%I.%%I %%s from %%s to %%s by %%s%%s',
        o.nspname, c.relname, s.seqtypid::regtype, s.seqmin, s.seqmax, s.seqincrement,
        case when s.seqcycle then ' cycle' else '' end
    )
from pg_sequence as s
inner join pg_class as c on s.seqrelid = c.oid
inner join own as o on c.relnamespace = o.oid
where (c.tableoid, c.oid) not in (select m.classid, m.objid from members as m)
union all
select
    format(
        '%%s %%s %%s', case p.prokind when 'p' then 'procedure' else 'function' end, p.oid::regprocedure, md5(p.prosrc)
    )
from pg_proc as p
inner join own as o on p.pronamespace = o.oid
where (p.tableoid, p.oid) not in (select m.classid, m.objid from members as m)
union all
select
    case t.typtype
        when 'e'
            then
                format(
                    'enum %%I.%%I (%%s)', o.nspname, t.typname,
                    (
                        select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder)
                        from pg_enum as e where e.enumtypid = t.oid
                    )
                )
        when 'd' then format('domain %%I.%%I %%s', o.nspname, t.typname, format_type(t.typbasetype, t.typtypmod))
        else format('range %%I.%%I', o.nspname, t.typname)
    end
from pg_type as t
inner join own as o on t.typnamespace = o.oid
where t.typtype in ('e', 'd', 'r') and (t.tableoid, t.oid) not in (select m.classid, m.objid from members as m)
order by 1
