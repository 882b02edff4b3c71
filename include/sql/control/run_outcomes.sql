-- The newest outcome of each action of a run, in the order in which they ended.
select target, body
from (
    select distinct on (target, action_id) target, body, id
    from upkeep.action_event
    where
        run_id = %(run_id)s
        and event in ('done', 'skipped', 'failed')
        and (%(target)s::text is null or target = %(target)s)
    order by target asc, action_id asc, id desc
) as newest
order by target, id;
