-- What bears a name in a schema, and which table has this object id by now.
select
    (
        select c.oid::bigint
        from pg_class as c
        inner join pg_namespace as n on c.relnamespace = n.oid
        where n.nspname = %(schema)s and c.relname = %(name)s
    ) as oid,
    (
        select n.nspname::text || '.' || t.relname::text
        from pg_class as t
        inner join pg_namespace as n on t.relnamespace = n.oid
        where t.oid = %(table_oid)s::oid
    ) as table_name
