-- Foreign keys to the given tables that keep a row which others refer to (NO ACTION, RESTRICT).
select
    f.confrelid::bigint as oid,
    n.nspname::text as schema,
    c.relname::text as name,
    array(
        select a.attname::text
        from unnest(f.conkey) with ordinality as k (number, place)
        inner join pg_attribute as a on f.conrelid = a.attrelid and k.number = a.attnum
        order by k.place
    ) as columns,
    array(
        select a.attname::text
        from unnest(f.confkey) with ordinality as k (number, place)
        inner join pg_attribute as a on f.confrelid = a.attrelid and k.number = a.attnum
        order by k.place
    ) as referenced
from pg_constraint as f
inner join pg_class as c on f.conrelid = c.oid
inner join pg_namespace as n on c.relnamespace = n.oid
where f.contype = 'f' and f.conparentid = 0 and f.confdeltype in ('a', 'r') and f.confrelid = any(%(oids)s::oid[])
order by f.confrelid, f.conname
