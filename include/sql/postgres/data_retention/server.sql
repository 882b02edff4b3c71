-- How the server is doing, for the gate before: its clock, the oldest open transaction.
-- A deletion under an old snapshot frees nothing. The lag of its replicas: pressure.sql.
select
    clock_timestamp() as now,
    pg_is_in_recovery() as is_replica,
    pg_has_role('pg_read_all_stats', 'usage') as sees_all,
    current_setting('archive_mode') = 'off'
    or has_function_privilege('pg_catalog.pg_ls_archive_statusdir()', 'execute') as sees_archiver,
    greatest(
        0,
        (
            select extract(epoch from clock_timestamp() - min(a.xact_start))
            from pg_stat_activity as a
            where a.pid != pg_backend_pid() and a.backend_type = 'client backend'
        ),
        (select extract(epoch from clock_timestamp() - min(p.prepared)) from pg_prepared_xacts as p)
    )::double precision as longest_transaction_seconds
