-- What killed runs had begun: intents without an outcome in their own run, that no later run has done. A
-- later run that skipped or failed the same action says nothing about what the killed one left behind.
select
    i.run_id,
    i.recorded_at as intended_at,
    i.body as action,
    coalesce(
        (
            select jsonb_agg(n.body order by n.id)
            from upkeep.action_event as n
            where n.run_id = i.run_id and n.target = i.target and n.action_id = i.action_id and n.event = 'note'
        ),
        '[]'
    ) as notes
from upkeep.action_event as i
where
    i.target = %(target)s
    and i.job = %(job)s
    and i.event = 'intent'
    and not exists (
        select 1
        from upkeep.action_event as later
        where
            later.run_id = i.run_id
            and later.target = i.target
            and later.action_id = i.action_id
            and later.event != 'note'
            and later.id > i.id
    )
    and not exists (
        select 1
        from upkeep.action_event as done
        where
            done.target = i.target
            and done.action_id = i.action_id
            and done.event = 'done'
            and done.id > i.id
    )
order by i.id;
