-- This transaction's id, and where the WAL ends now: when that place is on disk, so is the id, and no crash of the
-- server can give it to another transaction.
select
    pg_current_xact_id()::text as transaction,
    pg_current_wal_insert_lsn()::text as place
