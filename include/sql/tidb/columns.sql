-- The columns of those tables: types as SQL writes them, what is generated, which make the primary key.
select
    c.table_schema as `schema`,
    c.table_name as `table`,
    c.column_name as name,
    c.data_type as base,
    c.column_type as type,
    c.is_nullable = 'YES' as nullable,
    c.column_default is not null or c.extra like '%auto_%' as has_default,
    c.generation_expression <> '' as is_generated,
    c.generation_expression as expression,
    c.character_set_name as charset,
    c.collation_name as collation,
    c.ordinal_position as place
from information_schema.columns as c
where c.table_schema in %(schemas)s and {among}
order by c.table_schema, c.table_name, c.ordinal_position
