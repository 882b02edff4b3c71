-- Schema changes that are not over, the oldest first. The server returns those before it begins with the history,
-- which may be long: hence the inner limit. Needs PROCESS: the changes of tables that one may not see are left out.
select
    j.job_id,
    j.db_name,
    j.table_name,
    j.job_type,
    j.state,
    j.row_count,
    timestampdiff(second, j.create_time, utc_timestamp()) as seconds
from (
    select
        d.job_id,
        d.db_name,
        d.table_name,
        d.job_type,
        d.state,
        d.row_count,
        d.create_time
    from information_schema.ddl_jobs as d
    limit 512 -- noqa: AM09
) as j
where j.state not in ('synced', 'cancelled', 'rollback done')
order by j.job_id
limit 100
