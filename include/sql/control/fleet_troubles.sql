-- What failed in these runs on these targets: gates that were not passed, actions that failed; the newest word counts.
with asked as (
    select *
    from unnest(%(runs)s::text[], %(targets)s::text[]) as pair (run_id, target)
),

gates as (
    select distinct on (g.run_id, g.target, g.stage) g.*
    from asked
    inner join upkeep.gate as g on asked.run_id = g.run_id and asked.target = g.target
    order by g.run_id asc, g.target asc, g.stage asc, g.id desc
),

actions as (
    select distinct on (e.run_id, e.target, e.action_id) e.*
    from asked
    inner join upkeep.action_event as e on asked.run_id = e.run_id and asked.target = e.target
    where e.event in ('done', 'skipped', 'failed')
    order by e.run_id asc, e.target asc, e.action_id asc, e.id desc
)

select
    g.run_id,
    g.target,
    'gate' as kind,
    g.stage as name,
    g.body #>> '{failed,0,summary}' as message,
    null::text as reason,
    jsonb_array_length(g.body -> 'failed') as number
from gates as g
where not g.success
union all
select
    a.run_id,
    a.target,
    'action' as kind,
    (
        select i.action_kind || ' ' || (i.body ->> 'subject')
        from upkeep.action_event as i
        where i.run_id = a.run_id and i.target = a.target and i.action_id = a.action_id and i.event = 'intent'
        order by i.id desc
        limit 1
    ) as name,
    a.body ->> 'message' as message,
    a.body ->> 'reason_code' as reason,
    1 as number
from actions as a
where a.event = 'failed'
order by run_id asc, target asc, kind desc, name asc;
