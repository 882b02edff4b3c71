-- Targets that a run only looked at, where nothing had changed; of one that was looked at again (a cleared task) the
-- last look counts. The first look at a target is always written down as a run's target, so its engine is known.
-- Bounded by the run's beginning: looks are partitioned by day.
select distinct on (l.target)
    l.target,
    coalesce(
        (select t.engine from upkeep.run_target as t where t.target = l.target order by t.started_at desc limit 1), ''
    ) as engine,
    l.status,
    l.at,
    cardinality(l.seen) as checks,
    cardinality(l.unseen) as unseen
from upkeep.run as r
inner join upkeep.look as l on r.run_id = l.run_id
where
    r.run_id = %(run_id)s
    and (%(target)s::text is null or l.target = %(target)s)
    and l.recorded_at >= r.started_at and l.recorded_at < r.started_at + interval '1 day'
    and not exists (select 1 from upkeep.run_target as t where t.run_id = l.run_id and t.target = l.target)
order by l.target asc, l.recorded_at desc;
