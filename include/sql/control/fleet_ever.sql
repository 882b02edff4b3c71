-- When a job last began to do something on a target, whatever run it was, and however long ago.
select t.target, r.job, max(t.started_at) as at
from upkeep.run_target as t
inner join upkeep.run as r on t.run_id = r.run_id
where t.target = any(%(targets)s) and r.job = any(%(jobs)s)
group by t.target, r.job;
