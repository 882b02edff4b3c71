-- The columns that hold data of their own, in order: what a copy of a row must name.
select a.attname::text as name
from pg_attribute as a
where a.attrelid = %(oid)s::oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
order by a.attnum
