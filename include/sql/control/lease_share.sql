-- Keep what the lock is for from beginning, unless somebody is at it, or waits for it: who waits comes first, else a
-- long row of such actions would never let it in. It belongs to this session and goes with it.
select
    case
        when exists (
            select 1
            from pg_catalog.pg_locks
            where
                locktype = 'advisory'
                and database = (select oid from pg_catalog.pg_database where datname = current_database())
                and objsubid = 1
                and (classid::bigint << 32) | objid::bigint = %(waiting)s
        ) then false
        else pg_try_advisory_lock_shared(%(key)s)
    end as taken;
