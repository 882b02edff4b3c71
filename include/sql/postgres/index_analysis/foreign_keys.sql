-- Foreign keys whose columns no valid index begins with: each delete or change of a key in the referenced table then
-- reads the whole referencing one, and holds locks meanwhile. The largest tables first, at most a hundred.
select
    n.nspname::text as schema,
    t.relname::text as "table",
    c.conname::text as name,
    c.confrelid::regclass::text as referenced,
    array(
        select a.attname::text
        from unnest(c.conkey) with ordinality as k (number, place)
        inner join pg_attribute as a on c.conrelid = a.attrelid and k.number = a.attnum
        order by k.place
    ) as columns,
    greatest(t.reltuples, 0)::double precision as rows,
    t.relpages * current_setting('block_size')::bigint as bytes
from pg_constraint as c
inner join pg_class as t on c.conrelid = t.oid
inner join pg_namespace as n on t.relnamespace = n.oid
where
    c.contype = 'f'
    and c.conparentid = 0
    and n.nspname !~ '^pg_' and n.nspname != 'information_schema'
    and not exists (
        select
        from pg_index as i
        inner join pg_class as x on i.indexrelid = x.oid
        inner join pg_am as am on x.relam = am.oid
        where
            i.indrelid = c.conrelid
            and i.indisvalid
            and i.indpred is null
            and i.indnkeyatts >= cardinality(c.conkey)
            and (am.amname = 'btree' or (am.amname = 'hash' and cardinality(c.conkey) = 1))
            and (i.indkey::smallint[])[0:cardinality(c.conkey) - 1] <@ c.conkey
            and (i.indkey::smallint[])[0:cardinality(c.conkey) - 1] @> c.conkey
    )
order by t.reltuples desc, n.nspname asc, t.relname asc, c.conname asc
limit 100
