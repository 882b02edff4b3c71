-- Runs whose id begins so; two are enough to know that the beginning is ambiguous. The exact id comes first.
select run_id, job, at, trigger, actor, options, started_at, finished_at
from upkeep.run
where starts_with(run_id, %(prefix)s)
order by run_id
limit 2;
