-- The last run of a job at a target that was begun to do something. `alive`: it has not ended, and it holds a lease, or
-- its last trace in the ledger is young (between two of its tasks it holds none): without that its process is gone.
select
    r.run_id,
    t.status,
    t.started_at,
    t.finished_at,
    t.finished_at is null and (
        exists (
            select 1
            from upkeep.lease as l
            inner join pg_locks as k on l.backend_pid = k.pid and k.locktype = 'advisory' and k.granted
            where l.owner = r.run_id || ' (' || t.target || ')' and l.released_at is null
        )
        or greatest(
            t.started_at,
            (select max(e.recorded_at) from upkeep.action_event as e where e.run_id = r.run_id and e.target = t.target),
            (select max(l.released_at) from upkeep.lease as l where l.owner = r.run_id || ' (' || t.target || ')')
        ) > coalesce(%(now)s::timestamptz, clock_timestamp()) - interval '5 minutes'
    ) as alive
from upkeep.run_target as t
inner join upkeep.run as r on t.run_id = r.run_id
where
    t.target = %(target)s and r.job = %(job)s
    and r.options -> 'plan_only' is distinct from 'true'::jsonb
order by t.started_at desc
limit 1;
