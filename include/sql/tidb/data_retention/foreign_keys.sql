-- Foreign keys of other tables that refer to those in care, column by column. The catalog shows the names as each
-- foreign key was written; TiDB itself compares them without regard to case.
select
    k.constraint_schema as `schema`,
    k.constraint_name as name,
    k.table_name as `table`,
    k.column_name as `column`,
    k.referenced_table_schema as referenced_schema,
    k.referenced_table_name as referenced_table,
    k.referenced_column_name as referenced_column,
    r.delete_rule as on_delete
from information_schema.key_column_usage as k
inner join information_schema.referential_constraints as r
    on
        k.constraint_schema = r.constraint_schema
        and k.constraint_name = r.constraint_name
        and k.table_name = r.table_name
where lower(k.referenced_table_schema) in %(schemas)s and {among}
order by k.constraint_schema, k.table_name, k.constraint_name, k.ordinal_position
