-- The unique keys of those tables, part by part, also those that are invisible: they refuse rows all the same.
select
    s.table_schema as `schema`,
    s.table_name as `table`,
    s.index_name as name,
    s.seq_in_index as place,
    if(s.expression is null, s.column_name, null) as `column`,
    s.sub_part as prefix,
    s.expression,
    c.collation_name as collation,
    c.extra like '%auto_increment%' or lower(coalesce(c.column_default, '')) like 'uuid%' as is_own
from information_schema.statistics as s
left join information_schema.columns as c
    on
        s.table_schema = c.table_schema
        and s.table_name = c.table_name
        and s.column_name = c.column_name
        and s.expression is null
where s.table_schema in %(schemas)s and s.non_unique = 0 and {among}
order by s.table_schema, s.table_name, s.index_name, s.seq_in_index
