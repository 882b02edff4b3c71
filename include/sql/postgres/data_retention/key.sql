-- The partition key of a table that is partitioned by one column.
select a.attname::text as name
from pg_partitioned_table as p
inner join pg_attribute as a on p.partrelid = a.attrelid and p.partattrs[0] = a.attnum
where p.partrelid = %(oid)s
