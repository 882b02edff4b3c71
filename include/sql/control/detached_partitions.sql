-- Partitions that Upkeep detached and that were neither dropped nor re-attached since, with the evidence
-- recorded at the time.
select distinct on (d.object_oid)
    d.object_oid,
    d.run_id,
    d.action_id,
    d.recorded_at,
    d.body -> 'evidence' as evidence
from upkeep.action_event as d
where
    d.target = %(target)s
    and d.job = %(job)s
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
order by d.object_oid asc, d.id desc;
