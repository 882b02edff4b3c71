-- Until when old versions of rows are collected; an embedded store says nothing, and then gives no snapshots either.
select c.variable_value as at
from mysql.tidb as c
where c.variable_name = 'tikv_gc_safe_point'
