-- The newest observation of a run, target and stage.
select content
from upkeep.observation
where run_id = %(run_id)s and target = %(target)s and stage = %(stage)s
order by id desc
limit 1;
