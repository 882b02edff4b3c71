-- Whether TiDB deletes by TTL at all.
select @@global.tidb_ttl_job_enable = 1 as enabled
