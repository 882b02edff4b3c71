-- Where a plan stands: its newest planning, the newest plan of the same target, job and request (which supersedes
-- every other), and the last decision about it. A look at what would be done (`plan_only` in the run's options)
-- supersedes nothing but may itself be approved.
select
    coalesce(%(now)s::timestamptz, clock_timestamp()) as now,
    planned.id as planned_id,
    planned.run_id as planned_by,
    newest.plan_id as newest_plan_id,
    newest.run_id as newest_run_id,
    decision.id as decision_id,
    decision.event as decision,
    decision.actor,
    decision.how,
    decision.reason,
    decision.run_id as decision_run_id,
    decision.recorded_at as decided_at
from upkeep.plan as planned
left join upkeep.run as asked on planned.run_id = asked.run_id
inner join lateral (
    select n.plan_id, n.run_id
    from upkeep.plan as n
    left join upkeep.run as r on n.run_id = r.run_id
    where
        n.target = planned.target and n.job = planned.job and not n.carried
        and coalesce(r.options -> 'request', '{}') = coalesce(asked.options -> 'request', '{}')
        and (n.plan_id = planned.plan_id or r.options -> 'plan_only' is distinct from 'true'::jsonb)
    order by n.id desc
    limit 1
) as newest on true
left join lateral (
    select a.*
    from upkeep.approval as a
    where a.plan_id = planned.plan_id
    order by a.id desc
    limit 1
) as decision on true
where planned.plan_id = %(plan_id)s and not planned.carried
order by planned.id desc
limit 1;
