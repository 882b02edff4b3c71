-- Which of those tables are still there: a detached partition whose table is gone belongs to nobody.
select t.tidb_table_id as id
from information_schema.tables as t
where t.tidb_table_id in %(ids)s
