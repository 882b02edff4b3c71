-- The columns that a table and its archive have now, for a batch that has touched both: what was added or altered
-- since the plan was made would go with the row and not arrive in the archive.
select
    c.table_schema as `schema`,
    c.table_name as `table`,
    c.column_name as name,
    c.column_type as type
from information_schema.columns as c
where
    (c.table_schema = %(schema)s and c.table_name = %(table)s)
    or (c.table_schema = %(archive_schema)s and c.table_name = %(archive_table)s)
