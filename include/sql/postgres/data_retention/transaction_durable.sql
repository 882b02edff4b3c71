-- Whether the WAL is on disk up to a place.
select pg_current_wal_flush_lsn() >= %(place)s::pg_lsn as durable
