-- The backups of a target (null: of all), newest first: how each stands, who took it, when it last let rows go.
with known as (
    select
        b.target,
        b.backup,
        (array_agg(b.evidence order by b.recorded_at desc, b.id desc) filter (where b.event <> 'used'))[1] as artefact,
        (array_agg(b.run_id order by b.recorded_at asc, b.id asc))[1] as run_id,
        max(b.recorded_at) filter (where b.event = 'used') as used_at,
        max(b.snapshot_at) as snapshot_at
    from upkeep.backup as b
    where b.backup is not null and (%(target)s::text is null or b.target = %(target)s)
    group by b.target, b.backup
)

select
    target,
    artefact,
    run_id,
    used_at
from known
where artefact is not null and (%(expired)s or artefact ->> 'state' <> 'expired')
order by snapshot_at desc, backup asc;
