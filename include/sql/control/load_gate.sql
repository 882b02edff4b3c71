-- The newest result of the gate of a run, target and stage.
select body
from upkeep.gate
where run_id = %(run_id)s and target = %(target)s and stage = %(stage)s
order by id desc
limit 1;
