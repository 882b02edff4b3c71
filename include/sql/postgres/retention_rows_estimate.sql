-- How many rows the last statistics saw in a table; -1 when nobody looked.
select c.reltuples::bigint as rows
from pg_class as c
where c.oid = %(oid)s
