-- The tables whose statistics are farthest from their rows, as SHOW STATS_HEALTHY counts it. Small tables and those
-- that were never analysed (just loaded) are left out. Needs SELECT on mysql.stats_meta.
select
    t.table_schema as db_name,
    t.table_name,
    m.count as `rows`,
    m.modify_count as modified,
    cast(if(m.modify_count < m.count, 100 - 100 * m.modify_count / m.count, 0) as double) as value
from mysql.stats_meta as m
inner join information_schema.tables as t on m.table_id = t.tidb_table_id
where m.count >= 1000 and m.snapshot > 0 and m.modify_count > 0 and t.table_schema <> 'mysql'
order by value asc, m.count desc
limit 20
