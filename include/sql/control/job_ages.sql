-- How long ago each other job last looked at a target and came to its end, of the last eight days, and since when the
-- target is known at all. An end that waits for a person, or that found something wrong, is one.
select
    l.job,
    extract(epoch from clock_timestamp() - max(l.recorded_at) filter (
        where l.status in ('ok', 'nothing_to_do', 'awaiting_approval', 'observed', 'unhealthy')
    ))::float8 as seconds,
    (
        select extract(epoch from clock_timestamp() - min(t.started_at))::float8
        from upkeep.run_target as t where t.target = %(target)s
    ) as known
from upkeep.look as l
where
    l.target = %(target)s
    and l.job <> %(job)s
    and l.recorded_at > coalesce(%(now)s::timestamptz, clock_timestamp()) - interval '8 days'
group by l.job
union all
select
    '' as job,
    null as seconds,
    (
        select extract(epoch from clock_timestamp() - min(t.started_at))::float8
        from upkeep.run_target as t where t.target = %(target)s
    ) as known
order by job;
