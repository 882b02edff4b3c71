-- Schema changes that are not over yet.
select
    j.job_id,
    j.db_name,
    j.table_name,
    j.job_type,
    j.schema_state,
    j.state,
    j.table_id,
    j.row_count,
    j.query,
    timestampdiff(microsecond, j.create_time, utc_timestamp(6)) / 1000000.0 as seconds
from information_schema.ddl_jobs as j
where j.state not in ('synced', 'cancelled', 'rollback done')
order by j.job_id
