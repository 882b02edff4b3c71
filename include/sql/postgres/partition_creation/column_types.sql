-- The types of columns that values are compared in, as the server writes them: with what limits them (length,
-- precision), without, and by what collation (only where it is another than the type's own).
select
    a.attrelid::bigint as oid,
    a.attname::text as name,
    coalesce(b.typname, t.typname)::text as base,
    format_type(a.atttypid, a.atttypmod) as typed,
    format_type(a.atttypid, -1) as plain,
    n.nspname::text as collation_schema,
    l.collname::text as collation_name
from unnest(%(oids)s::oid[], %(columns)s::text[]) as w (oid, name)
inner join pg_attribute as a on w.oid = a.attrelid and w.name::name = a.attname and not a.attisdropped
inner join pg_type as t on a.atttypid = t.oid
left join pg_type as b on t.typbasetype = b.oid
left join pg_collation as l on a.attcollation = l.oid and a.attcollation != t.typcollation
left join pg_namespace as n on l.collnamespace = n.oid
