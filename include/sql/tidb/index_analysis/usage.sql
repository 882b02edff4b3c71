-- How many queries used each index, as each TiDB server of the cluster counts it since its start (at most five minutes
-- late; from TiDB 8.0 on).
select
    u.instance,
    u.table_schema as `schema`,
    u.table_name as `table`,
    u.index_name as name,
    u.query_total as scans
from information_schema.cluster_tidb_index_usage as u
where u.table_schema in %(schemas)s
