-- The columns that tables have now, for a batch that has locked them: what was added or altered since the plan was
-- made would go with the row and not arrive in the archive.
select
    a.attrelid::bigint as oid,
    array_agg(a.attname::text) as names,
    array_agg(format_type(a.atttypid, a.atttypmod)) as types
from pg_attribute as a
where a.attrelid = any(%(oids)s::oid[]) and a.attnum > 0 and not a.attisdropped
group by a.attrelid
