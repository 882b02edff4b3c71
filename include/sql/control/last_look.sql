-- How a target was when it was looked at last.
select status
from upkeep.look
where target = %(target)s and job = %(job)s
order by recorded_at desc
limit 1;
