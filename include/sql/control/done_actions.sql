-- What was done by a run, or under an action's id, and not taken back since;
-- newest first.
select
    d.id,
    d.run_id,
    d.target,
    d.job,
    i.body as action,
    d.body as outcome
from upkeep.action_event as d
inner join lateral (
    select body
    from upkeep.action_event
    where
        run_id = d.run_id
        and target = d.target
        and action_id = d.action_id
        and event = 'intent'
        and id < d.id
    order by id desc
    limit 1
) as i on true
where
    d.event = 'done'
    and (d.run_id = %(run_id)s or d.action_id = %(action_id)s)
    and not exists (
        select 1
        from upkeep.action_event as u
        where
            u.target = d.target
            and u.event = 'done'
            and u.id > d.id
            and u.undoes = d.action_id
    )
order by d.id desc;
