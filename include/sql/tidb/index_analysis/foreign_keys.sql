-- Foreign keys of the databases in care, and those that refer to them, column by column: their indexes must stay.
select
    k.constraint_schema as `schema`,
    k.constraint_name as name,
    k.table_name as `table`,
    k.column_name as `column`,
    k.referenced_table_schema as referenced_schema,
    k.referenced_table_name as referenced_table,
    k.referenced_column_name as referenced_column
from information_schema.key_column_usage as k
where
    k.referenced_table_name is not null
    and (k.constraint_schema in %(schemas)s or k.referenced_table_schema in %(schemas)s)
order by k.constraint_schema, k.table_name, k.constraint_name, k.ordinal_position
