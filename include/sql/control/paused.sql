-- The pause in force for a target: its own, else that of the whole fleet.
select target, actor, reason, paused_at
from upkeep.pause
where resumed_at is null and (target is null or target = %(target)s)
order by target nulls last
limit 1;
