-- Where a table is now, found by the id of its data.
select
    t.table_schema as `schema`,
    t.table_name as name,
    t.table_comment as comment
from information_schema.tables as t
where t.tidb_table_id = %(id)s
