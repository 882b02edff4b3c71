-- Our CHECK on a table that is to be converted, and whether it has been validated.
select
    o.convalidated as valid,
    coalesce(obj_description(o.oid, 'pg_constraint'), '') as marker
from pg_constraint as o
where o.conrelid = %(oid)s::oid and o.contype = 'c' and o.conname = %(check)s
