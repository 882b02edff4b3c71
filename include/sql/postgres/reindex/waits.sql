-- What an index that is rebuilt beside writers would have to wait for, or would not get rid of dead rows for: snapshots
-- and transactions of this database and of these tables that are older than some seconds, prepared ones, slots that
-- hold rows back, and every pg_dump (which must not meet what we do). The oldest first, at most 20.
-- A slot's age is known where commits are timed; one that nobody uses counts as old.
with holding as materialized (
    select
        l.pid,
        l.virtualtransaction
    from pg_locks as l
    where
        l.granted
        and l.locktype = 'relation'
        and l.relation = any(%(tables)s::oid[])
        and l.database = (select d.oid from pg_database as d where d.datname = current_database())
),

found as (
    select
        a.pid,
        null::text as gid,
        null::text as slot,
        a.usename::text as username,
        nullif(a.application_name, '') as application,
        a.backend_type,
        a.state,
        a.xact_start as since,
        a.application_name = 'pg_dump' as is_dump
    from pg_stat_activity as a
    where
        a.datname = current_database()
        and a.pid != pg_backend_pid()
        and a.backend_type is distinct from 'autovacuum worker'
        and (
            a.backend_xmin is not null
            or a.application_name = 'pg_dump'
            or a.pid in (select h.pid from holding as h where h.pid is not null)
        )
    union all
    select
        null::integer,
        p.gid,
        null,
        p.owner::text,
        null,
        null,
        null,
        p.prepared,
        false
    from pg_prepared_xacts as p
    where p.database = current_database()
    union all
    select
        null::integer,
        null,
        r.slot_name::text,
        null,
        null,
        null,
        case when r.active then 'active' else 'inactive' end,
        case
            when not r.active then '-infinity'::timestamptz
            when current_setting('track_commit_timestamp')::boolean then pg_xact_commit_timestamp(r.xmin)
        end,
        false
    from pg_replication_slots as r
    where r.xmin is not null
)

select
    f.pid,
    f.gid,
    f.slot,
    f.username,
    f.application,
    f.backend_type,
    f.state,
    case when isfinite(f.since) then to_char(f.since at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') end as since,
    true as seen
from found as f
where f.is_dump or f.since < clock_timestamp() - make_interval(secs => %(seconds)s)
order by f.since asc, f.pid asc
limit 20
