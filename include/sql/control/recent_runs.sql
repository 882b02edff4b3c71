-- The newest runs with the state of each of their targets; of quiet jobs only those with something to tell.
select
    r.run_id,
    r.job,
    r.at,
    r.trigger,
    r.actor,
    r.options,
    r.started_at,
    r.finished_at,
    coalesce(
        (
            select jsonb_object_agg(t.target, t.status)
            from upkeep.run_target as t
            where t.run_id = r.run_id
        ),
        '{}'
    ) as targets
from upkeep.run as r
where
    (%(job)s::text is null or r.job = %(job)s)
    and (
        r.job != all(%(quiet)s)
        or exists (select 1 from upkeep.run_target as t where t.run_id = r.run_id)
    )
order by r.started_at desc, r.run_id desc
limit %(limit)s;
