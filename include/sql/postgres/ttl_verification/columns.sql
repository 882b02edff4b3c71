-- The age columns of the given tables: their base type, and whether row security hides rows from our role. Tables
-- without such a column give no row.
select
    w.oid::bigint as oid,
    coalesce(b.typname, t.typname)::text as type,
    row_security_active(w.oid) as hidden
from unnest(%(oids)s::oid[], %(ages)s::text[]) as w (oid, age)
inner join pg_attribute as a on w.oid = a.attrelid and w.age = a.attname and a.attnum > 0 and not a.attisdropped
inner join pg_type as t on a.atttypid = t.oid
left join pg_type as b on t.typbasetype = b.oid
