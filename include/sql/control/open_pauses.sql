-- The pauses in force, that of the whole fleet first.
select target, actor, reason, paused_at
from upkeep.pause
where resumed_at is null
order by target nulls first;
