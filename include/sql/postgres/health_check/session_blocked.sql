-- Sessions that wait for a lock, and who they wait for: asked for at most twenty, the longest waiting, because the
-- question stops the lock manager. The one in the way may be the head of a queue itself.
with waiting as (
    select
        a.pid,
        a.usename || '@' || coalesce(nullif(a.application_name, ''), '(no name)') as who,
        extract(epoch from clock_timestamp() - coalesce(min(l.waitstart), a.query_start))::float8 as seconds
    from pg_stat_activity as a
    inner join pg_locks as l on a.pid = l.pid and not l.granted
    where coalesce(a.application_name, '') not like 'upkeep%%'
    group by a.pid, a.usename, a.application_name, a.query_start
),

asked as (
    select
        w.pid,
        pg_blocking_pids(w.pid) as by
    from (select pid from waiting where seconds > 5 order by seconds desc limit 20) as w
),

blockers as (
    select
        b.usename || '@' || coalesce(nullif(b.application_name, ''), '(no name)') as who,
        b.pid
    from pg_stat_activity as b
    where b.pid in (select unnest(k.by) from asked as k) and not b.pid in (select k.pid from asked as k)
)

select
    'server' as subject,
    coalesce(max(seconds), 0)::float8 as value,
    count(*) as waiting,
    case when count(*) >= 20 then 'crowd' end as state,
    coalesce(
        (select string_agg(distinct b.who || ' (process ' || b.pid || ')', ', ') from blockers as b), 'nobody now'
    ) as blockers
from waiting;
