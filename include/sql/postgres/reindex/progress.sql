-- How far the building of an index in another session is, and who has waited behind it for its table with a lock that
-- in turn keeps writers waiting. One row.
select
    p.phase,
    p.lockers_done,
    p.lockers_total,
    p.blocks_done,
    p.blocks_total,
    p.tuples_done,
    p.tuples_total,
    w.pid,
    null::text as gid,
    a.usename::text as username,
    nullif(a.application_name, '') as application,
    a.backend_type,
    a.state,
    to_char(w.waitstart at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') as since,
    a.backend_start is not null as seen
from (select %(pid)s::integer as pid) as ours
left join pg_stat_progress_create_index as p on ours.pid = p.pid
left join lateral (
    select
        l.pid,
        l.waitstart
    from pg_locks as l
    where
        not l.granted
        and l.locktype = 'relation'
        and l.relation = %(table)s::oid
        and l.database = (select d.oid from pg_database as d where d.datname = current_database())
        and l.mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
        and l.pid != ours.pid
        and l.waitstart < clock_timestamp() - make_interval(secs => %(seconds)s)
        and ours.pid = any(pg_blocking_pids(l.pid))
    order by l.waitstart
    limit 1
) as w on true
left join pg_stat_activity as a on w.pid = a.pid
