-- Plans whose id begins so, the newest planning of each; two are enough to know that it is ambiguous.
select distinct on (plan_id) plan_id, run_id, content
from upkeep.plan
where starts_with(plan_id, %(prefix)s) and not carried
order by plan_id asc, id desc
limit 2;
