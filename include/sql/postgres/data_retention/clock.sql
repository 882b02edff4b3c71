-- The server's clock and what this session would see now: rows written by later transactions arrived late.
select
    clock_timestamp() as now,
    pg_current_snapshot()::text as snapshot
