-- What became of plans: of each its newest planning, every decision about it in order, when another plan of the
-- same target, job and request took its place, and the newest of those. A look at what would be done (`plan_only`
-- in the run's options) takes no plan's place.
select
    coalesce(%(now)s::timestamptz, clock_timestamp()) as now,
    planned.plan_id,
    planned.id as planned_id,
    planned.run_id as planned_by,
    cardinality(planned.awaiting) > 0 as waits,
    coalesce(
        (
            select jsonb_agg(to_jsonb(a) order by a.id)
            from upkeep.approval as a
            where a.plan_id = planned.plan_id
        ),
        '[]'
    ) as decisions,
    successor.recorded_at as superseded_at,
    newest.plan_id as newest_plan_id,
    newest.run_id as newest_run_id
from (
    select distinct on (p.plan_id)
        p.id,
        p.plan_id,
        p.run_id,
        p.target,
        p.job,
        p.awaiting,
        coalesce(r.options -> 'request', '{}') as request
    from upkeep.plan as p
    left join upkeep.run as r on p.run_id = r.run_id
    where p.plan_id = any(%(plan_ids)s) and not p.carried
    order by p.plan_id asc, p.id desc
) as planned
left join lateral (
    select n.recorded_at
    from upkeep.plan as n
    left join upkeep.run as r on n.run_id = r.run_id
    where
        n.target = planned.target and n.job = planned.job and not n.carried
        and coalesce(r.options -> 'request', '{}') = planned.request
        and n.id > planned.id and n.plan_id != planned.plan_id
        and r.options -> 'plan_only' is distinct from 'true'::jsonb
    order by n.id asc
    limit 1
) as successor on true
left join lateral (
    select n.plan_id, n.run_id
    from upkeep.plan as n
    left join upkeep.run as r on n.run_id = r.run_id
    where
        n.target = planned.target and n.job = planned.job and not n.carried
        and coalesce(r.options -> 'request', '{}') = planned.request
        and r.options -> 'plan_only' is distinct from 'true'::jsonb
    order by n.id desc
    limit 1
) as newest on true;
