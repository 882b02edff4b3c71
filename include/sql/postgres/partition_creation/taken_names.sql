-- Which of the names thought of are taken, by any kind of relation or by a type (a table makes a type of its name).
-- What a killed run of ours left half made is removed first, so its name is free.
select
    w.schema,
    w.name
from unnest(%(schemas)s::text[], %(names)s::text[]) as w (schema, name)
inner join pg_namespace as n on w.schema::name = n.nspname
where
    exists (
        select from pg_class as c
        left join pg_description as d
            on
                coalesce(pg_partition_root(c.oid), c.oid) = d.objoid
                and d.classoid = 'pg_class'::regclass and d.objsubid = 0
        where
            c.relnamespace = n.oid and c.relname = w.name::name
            and coalesce(d.description, '') not like 'upkeep: half made%%'
    )
    or exists (select from pg_type as t where t.typnamespace = n.oid and t.typname = w.name::name and t.typrelid = 0)
