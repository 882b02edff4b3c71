-- The newest look of the last two days at each of these pairs of target and job.
select
    asked.target,
    asked.job,
    newest.recorded_at as at,
    newest.status,
    newest.run_id,
    newest.measured -> 'partition_headroom' as headroom
from unnest(%(targets)s::text[], %(jobs)s::text[]) as asked (target, job)
cross join lateral (
    select l.recorded_at, l.status, l.run_id, l.measured
    from upkeep.look as l
    where
        l.target = asked.target
        and l.job = asked.job
        and l.recorded_at > coalesce(%(now)s::timestamptz, now()) - interval '2 days'
    order by l.recorded_at desc
    limit 1
) as newest;
