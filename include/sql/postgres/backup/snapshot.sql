-- Exports the snapshot of this transaction, for the dump, and says where in the server's history it lies. The
-- transaction stays open while the dump runs, and waits for it: no time limit of the session may end it.
select
    set_config('idle_in_transaction_session_timeout', '0', true) as pinned_idle_timeout,
    set_config('statement_timeout', '0', true) as pinned_statement_timeout,
    pg_export_snapshot() as snapshot,
    clock_timestamp() as at,
    pg_snapshot_xmin(pg_current_snapshot())::text as xmin,
    pg_snapshot_xmax(pg_current_snapshot())::text as xmax,
    case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end::text as lsn,
    (select c.timeline_id from pg_control_checkpoint() as c) as timeline
