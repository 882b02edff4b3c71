-- Which tables have foreign keys that point at others of the databases in care.
select distinct
    k.referenced_table_schema as `schema`,
    k.referenced_table_name as `table`,
    k.table_schema as pointing_schema,
    k.table_name as pointing
from information_schema.key_column_usage as k
where
    lower(k.referenced_table_schema) in %(schemas)s
    and (k.table_schema <> k.referenced_table_schema or k.table_name <> k.referenced_table_name)
order by k.table_schema, k.table_name
