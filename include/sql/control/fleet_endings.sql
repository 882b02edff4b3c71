-- How each job ended last for each target, of the last 40 days: by the newest run that looked at all of the target as
-- it was then, and by the newest that carried an approved plan out. What only planned, looked at another time, took
-- back, restored, or was asked for a part says nothing about how a target is.
select distinct on (t.target, r.job, r.options ? 'planned_by')
    t.target,
    r.job,
    r.options ? 'planned_by' as approved,
    r.run_id,
    t.status,
    t.error,
    t.started_at,
    t.finished_at,
    r.finished_at is not null as run_ended
from upkeep.run as r
inner join upkeep.run_target as t on r.run_id = t.run_id
where
    r.started_at > coalesce(%(now)s::timestamptz, now()) - interval '40 days'
    and r.job = any(%(jobs)s)
    and t.target = any(%(targets)s)
    and r.trigger != all(%(elsewhere)s)
    and r.options -> 'plan_only' is distinct from 'true'::jsonb
    and (
        r.options ? 'planned_by'
        or (
            not r.options ? 'request'
            and abs(extract(epoch from r.started_at - r.at))
            <= case when r.options ? 'dag_id' then %(interval)s else %(present)s end
        )
    )
order by t.target asc, r.job asc, r.options ? 'planned_by' asc, t.started_at desc, r.run_id desc;
