-- When each target was last looked at by which job, of the last two days.
select
    target,
    job,
    max(recorded_at) as at
from upkeep.look
where
    recorded_at > coalesce(%(now)s::timestamptz, clock_timestamp()) - interval '2 days'
    and (%(targets)s::text[] = '{}' or target = any(%(targets)s))
    and not '*' = any(unseen)
group by target, job
order by target, job;
