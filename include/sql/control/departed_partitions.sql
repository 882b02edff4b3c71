-- Partitions that Upkeep detached on targets that are in no fleet file any more, and that were neither dropped nor
-- attached again while they were in care: what is known of them is what was seen last.
select
    d.target,
    d.body -> 'evidence' ->> 'partition' as partition,
    d.run_id,
    d.recorded_at,
    (
        select greatest(d.recorded_at, max(t.finished_at))
        from upkeep.run_target as t
        inner join upkeep.run as r on t.run_id = r.run_id
        where t.target = d.target and r.job = d.job
    ) as last_seen
from upkeep.action_event as d
where
    d.job = %(job)s
    and d.target != all(%(targets)s)
    and d.event = 'done'
    and d.action_kind = 'detach_partition'
    and d.object_oid is not null
    and d.body #> '{evidence,oid}' is not null
    and not exists (
        select 1
        from upkeep.action_event as gone
        where
            gone.target = d.target
            and gone.object_oid = d.object_oid
            and gone.event = 'done'
            and gone.action_kind in ('drop_partition', 'reattach_partition')
            and gone.id > d.id
    )
order by d.target, d.id;
