-- TTL jobs that run on those tables or partitions, and for how long their owner has been silent.
select
    s.table_id as id,
    timestampdiff(second, s.current_job_owner_hb_time, now()) as silent
from mysql.tidb_ttl_table_status as s
where s.table_id in %(ids)s and s.current_job_id is not null
