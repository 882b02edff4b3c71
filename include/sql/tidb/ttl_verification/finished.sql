-- The last two TTL jobs that finished on each table or partition, by the id of its data, newest first.
select
    h.table_id as id,
    h.create_time as created,
    h.finish_time as finished,
    h.ttl_expire as expire,
    h.error_delete_rows as errors
from (
    select
        j.table_id,
        j.create_time,
        j.finish_time,
        j.ttl_expire,
        j.error_delete_rows,
        row_number() over (partition by j.table_id order by j.create_time desc) as place
    from mysql.tidb_ttl_job_history as j
    where j.table_id in %(ids)s and j.status = 'finished' and j.create_time > now() - interval 40 day
) as h
where h.place <= 2
order by h.table_id asc, h.create_time desc
