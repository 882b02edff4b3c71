-- Write an outcome. Job and kind come from the action's intent; a skipped action has none. The object that
-- was detached, dropped or re-attached comes from the evidence, else from what was intended, else from the
-- action that this one takes back.
insert into upkeep.action_event (
    recorded_at, run_id, target, job, action_id, action_kind, event, object_oid, undoes, body
)
select
    coalesce(%(now)s::timestamptz, clock_timestamp()),
    %(run_id)s,
    %(target)s,
    coalesce(intent.job, (select job from upkeep.run where run_id = %(run_id)s)),
    %(action_id)s,
    intent.action_kind,
    %(event)s,
    coalesce(%(body)s::jsonb #>> '{evidence,oid}', intent.body #>> '{args,oid}', undone.object_oid),
    intent.body #>> '{args,undoes}',
    %(body)s
from (select 1) as one_row (number)
left join lateral (
    select i.job, i.action_kind, i.body
    from upkeep.action_event as i
    where
        i.run_id = %(run_id)s
        and i.target = %(target)s
        and i.action_id = %(action_id)s
        and i.event = 'intent'
    order by i.id desc
    limit 1
) as intent on true
left join lateral (
    select d.object_oid
    from upkeep.action_event as d
    where d.target = %(target)s and d.action_id = intent.body #>> '{args,undoes}' and d.event = 'done'
    order by d.id desc
    limit 1
) as undone on true;
