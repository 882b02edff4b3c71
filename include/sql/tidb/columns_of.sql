-- The columns of a table, hidden ones left out.
select
    c.column_name as name,
    c.data_type as kind
from information_schema.columns as c
where c.table_schema = %(schema)s and c.table_name = %(table)s
order by c.ordinal_position
