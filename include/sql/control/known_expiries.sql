-- The expiry that Upkeep set, lengthened or suspended last on each collection: the server goes on with it, whoever
-- still has a policy for it.
select distinct on (e.body #>> '{evidence,uuid}')
    e.body #>> '{evidence,uuid}' as uuid,
    e.action_kind as kind,
    e.body #> '{evidence,after}' as seconds,
    e.recorded_at
from upkeep.action_event as e
where
    e.target = %(target)s
    and e.job = %(job)s
    and e.event = 'done'
    and e.action_kind in ('set_expiry', 'lengthen_expiry', 'suspend_expiry')
    and e.body #>> '{evidence,uuid}' is not null
order by e.body #>> '{evidence,uuid}' asc, e.id desc;
