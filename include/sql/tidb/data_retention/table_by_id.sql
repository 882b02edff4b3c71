-- Where a table is now, found by the id of its data; its rows by statistics.
select
    t.table_schema as `schema`,
    t.table_name as name,
    coalesce(t.table_comment, '') as comment,
    coalesce(t.table_rows, 0) as `rows`
from information_schema.tables as t
where t.tidb_table_id = %(id)s
