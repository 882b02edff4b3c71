-- The newest plan of a run and target.
select content, recorded_at
from upkeep.plan
where run_id = %(run_id)s and target = %(target)s
order by id desc
limit 1;
