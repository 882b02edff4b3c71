-- What a plan is for.
select target, job
from upkeep.plan
where plan_id = %(plan_id)s and not carried
order by id desc
limit 1;
