-- Whether this session is still the one that took the lock, still has all of its locks, and nobody took it since.
select
    pg_backend_pid() = %(backend_pid)s as same_session,
    %(keys)s::bigint[] <@ array(
        select (classid::bigint << 32) | objid::bigint
        from pg_catalog.pg_locks
        where
            locktype = 'advisory'
            and pid = pg_backend_pid()
            and database = (select oid from pg_catalog.pg_database where datname = current_database())
            and objsubid = 1
            and granted
    ) as locked,
    (select token from upkeep.lease where identity = %(identity)s and name = %(lease)s) as newest_token;
