-- Which history the server is in, and which table has a name now: rows that another history or another table got are
-- perhaps not here.
select
    substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) as timeline,
    pg_current_wal_insert_lsn() >= coalesce(%(place)s::text::pg_lsn, '0/0'::pg_lsn) as past,
    to_regclass(%(into)s)::oid::bigint as oid
