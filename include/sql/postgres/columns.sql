-- The columns of a table in order, for statements that name what they copy; generated ones compute themselves.
select
    a.attname::text as name,
    a.attgenerated != '' as generated
from pg_attribute as a
where a.attrelid = %(oid)s::oid and a.attnum > 0 and not a.attisdropped
order by a.attnum
