-- The newest plan of each target of a run.
select distinct on (target) target, content
from upkeep.plan
where run_id = %(run_id)s and (%(target)s::text is null or target = %(target)s)
order by target asc, id desc;
