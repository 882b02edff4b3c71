-- Every table of the database that is not a partition and belongs to no extension, with what a first policy needs:
-- size with what is stored beside it (TOAST), how its rows came and changed, the columns that may tell a row's age,
-- whether an index leads with them, whether their values lay ahead when they were analysed (such a column says when a
-- row ends, not when it came to be), the tables whose foreign keys point at it, and how it is partitioned.
-- One query for the whole database; all of it is catalog and statistics, so nothing is locked or scanned.
select
    n.nspname as "schema",
    c.relname as "name",
    c.relkind::text as "kind",
    p.partstrat::text as strategy,
    coalesce(
        s.total_rows,
        case when c.reltuples < 0 then pg_catalog.pg_stat_get_live_tuples(c.oid) else c.reltuples end
    )::bigint as "rows",
    coalesce(s.pages, c.relpages + coalesce(b.relpages, 0))::bigint * 8192 as "bytes",
    c.reltuples >= 0 and p.partrelid is null as is_analysed,
    pg_catalog.pg_stat_get_tuples_inserted(c.oid) as inserted,
    pg_catalog.pg_stat_get_tuples_updated(c.oid) as updated,
    coalesce(s.children, array[]::text[]) as "bounds",
    coalesce(t.time_columns, '[]') as time_columns,
    k.key_column,
    k.key_type,
    coalesce(p.partdefid, 0) <> 0 as has_default,
    array(
        select distinct f.conrelid::regclass::text
        from pg_catalog.pg_constraint as f
        where f.confrelid = c.oid and f.contype = 'f' and f.conparentid = 0 and f.conrelid <> c.oid
        order by 1
    ) as pointing,
    pg_catalog.has_schema_privilege(n.oid, 'usage') and pg_catalog.has_table_privilege(c.oid, 'select') as readable,
    current_user::text as "role"
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
left join pg_catalog.pg_class as b on c.reltoastrelid = b.oid
left join pg_catalog.pg_partitioned_table as p on c.oid = p.partrelid
left join lateral (
    select
        a.attname::text as key_column,
        y.typname::text as key_type
    from pg_catalog.pg_attribute as a
    inner join pg_catalog.pg_type as y on a.atttypid = y.oid
    where a.attrelid = c.oid and p.partnatts = 1 and a.attnum = p.partattrs[0]
) as k on true
left join lateral (
    select
        sum(greatest(i.reltuples, 0)) as total_rows,
        sum(i.relpages + coalesce(o.relpages, 0)) as pages,
        array_agg(pg_catalog.pg_get_expr(i.relpartbound, i.oid)) as children
    from pg_catalog.pg_inherits as h
    inner join pg_catalog.pg_class as i on h.inhrelid = i.oid
    left join pg_catalog.pg_class as o on i.reltoastrelid = o.oid
    where h.inhparent = c.oid
) as s on p.partrelid is not null
left join lateral (
    select
        jsonb_agg(
            jsonb_build_object(
                'name', a.attname,
                'type', y.typname,
                'indexed', exists (
                    select from pg_catalog.pg_index as x
                    where x.indrelid = c.oid and x.indisvalid and x.indpred is null and x.indkey[0] = a.attnum
                ),
                'ahead', exists (
                    select from pg_catalog.pg_stats as q
                    where
                        q.schemaname = n.nspname and q.tablename = c.relname and q.attname = a.attname
                        -- once more: no other column's text may be read as a time
                        and case
                            when q.attname = a.attname then (q.histogram_bounds::text::text[])[
                                array_upper(q.histogram_bounds::text::text[], 1)
                            ]::timestamptz > interval '1 minute' + coalesce(
                                greatest(
                                    pg_catalog.pg_stat_get_last_analyze_time(c.oid),
                                    pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid)
                                ),
                                now()
                            )
                        end
                )
            )
            order by a.attnum
        ) as time_columns
    from pg_catalog.pg_attribute as a
    inner join pg_catalog.pg_type as y on a.atttypid = y.oid
    where
        a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        and y.typname in ('timestamptz', 'timestamp', 'date')
) as t on true
where
    c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
    -- a ledger of ours that lies in the same database is no application's
    and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'upkeep')
    and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
