-- Whether TiDB deletes by TTL at all, in which hours, and which zone the wall clocks of DATETIME columns show to it.
select
    @@global.tidb_ttl_job_enable = 1 as enabled,
    @@global.tidb_ttl_job_schedule_window_start_time as starts,
    @@global.tidb_ttl_job_schedule_window_end_time as ends,
    if(@@global.time_zone = 'SYSTEM', @@system_time_zone, @@global.time_zone) as zone
