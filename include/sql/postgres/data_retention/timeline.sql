-- The server's timeline: another one than before means that it was promoted, or restored from a backup.
select substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) as timeline
