-- The targets of a run.
select target, engine, status, at, error, started_at, finished_at
from upkeep.run_target
where run_id = %(run_id)s and (%(target)s::text is null or target = %(target)s)
order by target;
