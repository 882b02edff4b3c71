-- The last looks of a job at a target, with what was measured. 40 days: nightly jobs count a month's evidence.
select
    at,
    status,
    measured
from upkeep.look
where
    target = %(target)s
    and job = %(job)s
    and recorded_at > coalesce(%(now)s::timestamptz, clock_timestamp()) - interval '40 days'
order by recorded_at desc
limit 6;
