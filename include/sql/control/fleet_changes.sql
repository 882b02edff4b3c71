-- When something was last done on each of these targets.
select e.target, max(e.recorded_at) as at
from upkeep.action_event as e
where e.target = any(%(targets)s) and e.event = 'done'
group by e.target;
