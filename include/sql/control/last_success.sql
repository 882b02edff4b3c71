-- When a job last ended well for a target.
select max(t.finished_at) as finished_at
from upkeep.run_target as t
inner join upkeep.run as r on r.run_id = t.run_id
where t.target = %(target)s and r.job = %(job)s and t.status in ('ok', 'nothing_to_do');
