-- Every table, and every other relation with rows, and what belongs to it. Expressions are told to be there, not
-- compared: the server prints some of them otherwise once they were dumped and read again. What an extension brought
-- is its own affair.
select
    c.oid::bigint as oid,
    n.nspname::text as schema,
    c.relname::text as name,
    c.relkind::text as kind,
    case when c.relkind = 'r' then pg_table_size(c.oid) else 0 end::bigint as bytes,
    array(
        select a.attname::text
        from pg_attribute as a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        order by a.attname collate "C"
    ) as columns,
    array(
        select
            format('column %%I %%s', a.attname, format_type(a.atttypid, a.atttypmod))
            || case when a.attnotnull then ' not null' else '' end
            || case when a.attidentity != '' then ' identity ' || a.attidentity::text else '' end
            || case when a.attgenerated != '' then ' generated' when a.atthasdef then ' default' else '' end
            || case when a.attcollation > 0 then ' collate ' || a.attcollation::regcollation::text else '' end
        from pg_attribute as a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        union all
        select
            case
                when i.indexprs is null and i.indpred is null then pg_get_indexdef(i.indexrelid)
                else format(
                    '%%s %%I using %%s (%%s)%%s',
                    case when i.indisunique then 'unique index' else 'index' end,
                    x.relname,
                    m.amname,
                    (
                        select
                            string_agg(
                                case
                                    when k.number = 0 then '(expression)'
                                    else pg_get_indexdef(i.indexrelid, k.place::integer, false)
                                end, ', ' order by k.place
                            )
                        from unnest(i.indkey::smallint[]) with ordinality as k (number, place)
                    ),
                    case when i.indpred is null then '' else ' where (expression)' end
                )
            end
        from pg_index as i
        inner join pg_class as x on i.indexrelid = x.oid
        inner join pg_am as m on x.relam = m.oid
        where i.indrelid = c.oid and (i.indisvalid or x.relkind = 'I')
        union all
        select
            case
                when k.contype in ('c', 'x')
                    then
                        format(
                            '%%s constraint %%I%%s',
                            case k.contype when 'c' then 'check' else 'exclude' end,
                            k.conname,
                            case when k.convalidated then '' else ' not valid' end
                        )
                else format('constraint %%I %%s', k.conname, pg_get_constraintdef(k.oid))
            end
        from pg_constraint as k
        where k.conrelid = c.oid and (k.contype in ('p', 'u', 'c', 'x') or (k.contype = 'f' and k.conparentid = 0))
        union all
        select format('trigger %%I executing %%s, %%s %%s', t.tgname, t.tgfoid::regprocedure, t.tgtype, t.tgenabled)
        from pg_trigger as t
        where t.tgrelid = c.oid and not t.tgisinternal
        union all
        select format('policy %%I for %%s', p.polname, p.polcmd) from pg_policy as p where p.polrelid = c.oid
        union all
        select format('rule %%I', r.rulename)
        from pg_rewrite as r where r.ev_class = c.oid and r.rulename != '_RETURN'
        union all
        select format('statistics %%I %%s', s.stxname, s.stxkind) from pg_statistic_ext as s where s.stxrelid = c.oid
        union all
        select
            format('%%s %%s', case when c.relispartition then 'partition of' else 'inherits' end, h.inhparent::regclass)
        from pg_inherits as h
        where h.inhrelid = c.oid
        union all
        select 'bounds ' || pg_get_expr(c.relpartbound, c.oid) where c.relispartition
        union all
        select 'partitioned by ' || pg_get_partkeydef(c.oid) where c.relkind = 'p'
        union all
        select 'option ' || o.entry from unnest(c.reloptions) as o (entry)
        union all
        select 'unlogged' where c.relpersistence = 'u'
        union all
        select 'row level security' || case when c.relforcerowsecurity then ', forced' else '' end
        where c.relrowsecurity
    ) as structures
from pg_class as c
inner join pg_namespace as n on c.relnamespace = n.oid
where
    c.relkind in ('r', 'p', 'f', 'm')
    and c.relpersistence != 't'
    and n.nspname !~ '^pg_' and n.nspname != 'information_schema'
    and not exists (
        select from pg_depend as d
        where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
order by n.nspname, c.relname
