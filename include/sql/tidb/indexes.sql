-- The visible indexes of those tables, column by column.
select
    s.table_schema as `schema`,
    s.table_name as `table`,
    s.index_name as name,
    s.seq_in_index as place,
    s.column_name as `column`,
    s.non_unique = 0 as is_unique
from information_schema.statistics as s
where s.table_schema in %(schemas)s and s.is_visible = 'YES' and {among}
order by s.table_schema, s.table_name, s.index_name, s.seq_in_index
