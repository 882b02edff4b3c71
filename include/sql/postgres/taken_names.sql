-- Which of the names thought of are taken, by any kind of relation or by a type (a table makes a type of its name).
select
    w.schema,
    w.name
from unnest(%(schemas)s::text[], %(names)s::text[]) as w (schema, name)
inner join pg_namespace as n on w.schema::name = n.nspname
where
    exists (select from pg_class as c where c.relnamespace = n.oid and c.relname = w.name::name)
    or exists (select from pg_type as t where t.typnamespace = n.oid and t.typname = w.name::name)
