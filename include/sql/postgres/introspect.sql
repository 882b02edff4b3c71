-- Every table of the database that is not a partition, with what a first policy needs: size, the columns that
-- may tell a row's age, whether an index leads with them, and how it is partitioned.
-- One query for the whole database; sizes come from the statistics, so nothing is locked or scanned.
select
    n.nspname as "schema",
    c.relname as "name",
    c.relkind::text as "kind",
    p.partstrat::text as strategy,
    coalesce(s.total_rows, greatest(c.reltuples, 0))::bigint as "rows",
    coalesce(s.pages, c.relpages)::bigint * 8192 as "bytes",
    coalesce(s.children, array[]::text[]) as "bounds",
    coalesce(t.time_columns, '[]') as time_columns,
    k.key_column,
    k.key_type,
    coalesce(p.partdefid, 0) <> 0 as has_default
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
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
        sum(i.relpages) as pages,
        array_agg(pg_catalog.pg_get_expr(i.relpartbound, i.oid)) as children
    from pg_catalog.pg_inherits as h
    inner join pg_catalog.pg_class as i on h.inhrelid = i.oid
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
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
order by coalesce(s.pages, c.relpages) desc, n.nspname asc, c.relname asc
