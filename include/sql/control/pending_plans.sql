-- The newest plan of each target, job and request that has actions which wait for a person and have neither been
-- done nor failed since, with the last decision about it. A look at what would be done (`plan_only`) is not one.
select
    coalesce(%(now)s::timestamptz, clock_timestamp()) as now,
    newest.plan_id,
    newest.run_id,
    newest.recorded_at as created_at,
    newest.content,
    newest.id as planned_id,
    newest.run_id as planned_by,
    newest.plan_id as newest_plan_id,
    newest.run_id as newest_run_id,
    decision.id as decision_id,
    decision.event as decision,
    decision.actor,
    decision.how,
    decision.reason,
    decision.run_id as decision_run_id,
    decision.recorded_at as decided_at
from (
    select distinct on (p.target, p.job, coalesce(r.options -> 'request', '{}')) p.*
    from upkeep.plan as p
    left join upkeep.run as r on p.run_id = r.run_id
    where not p.carried and r.options -> 'plan_only' is distinct from 'true'::jsonb
    order by p.target asc, p.job asc, coalesce(r.options -> 'request', '{}') asc, p.id desc
) as newest
left join lateral (
    select a.*
    from upkeep.approval as a
    where a.plan_id = newest.plan_id
    order by a.id desc
    limit 1
) as decision on true
where
    exists (
        select 1
        from unnest(newest.awaiting) as waiting (action_id)
        where
            not exists (
                select 1
                from upkeep.action_event as ended
                where
                    ended.action_id = waiting.action_id
                    and ended.target = newest.target
                    and ended.event in ('done', 'failed')
                    and ended.id > newest.id
            )
    )
order by newest.id;
