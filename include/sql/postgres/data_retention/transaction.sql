-- This transaction's id, and where the WAL ends now: when that place is on disk, so is the id, and no crash of the
-- server can give it to another transaction. Timeline and start of the server say whose history the id belongs to.
select
    pg_current_xact_id()::text as transaction,
    pg_current_wal_insert_lsn()::text as place,
    substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) as timeline,
    to_char(pg_postmaster_start_time() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') as started
