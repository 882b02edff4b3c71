-- The newest plan of each target of a run.
select distinct on (target) target, content
from upkeep.plan
where run_id = %(run_id)s
order by target asc, id desc;
