-- How the last runs of some jobs ended for a target, newest first: what was planned, what became of each action, and
-- how long such runs take (19 of 20 of those of the last 30 days).
select
    r.run_id,
    r.job,
    t.status,
    t.error,
    t.finished_at,
    (
        select p.content
        from upkeep.plan as p
        where p.run_id = r.run_id and p.target = t.target
        order by p.id desc
        limit 1
    ) as content,
    coalesce(
        (
            select jsonb_object_agg(e.action_id, e.body)
            from (
                select distinct on (action_id)
                    action_id,
                    body
                from upkeep.action_event
                where
                    run_id = r.run_id and target = t.target
                    and event in ('done', 'skipped', 'failed')
                order by action_id asc, id desc
            ) as e
        ),
        '{}'
    ) as outcomes,
    (
        select percentile_cont(0.95) within group (order by extract(epoch from o.finished_at - o.started_at))
        from upkeep.run_target as o
        inner join upkeep.run as s on o.run_id = s.run_id
        where
            o.target = t.target and s.job = r.job
            and o.finished_at > coalesce(%(now)s::timestamptz, clock_timestamp()) - interval '30 days'
    )::double precision as usual_seconds
from upkeep.run_target as t
inner join upkeep.run as r on t.run_id = r.run_id
where
    t.target = %(target)s and r.job = any(%(others)s)
    and t.finished_at is not null
    and r.options -> 'plan_only' is distinct from 'true'::jsonb
order by t.finished_at desc
limit 3;
