-- Actions that a run has begun and not ended, with the last of its notes that tells of rows. ``alive``: the run holds
-- the lease on its database still, so it is at work; without that its process is gone.
select
    i.target,
    i.action_id,
    i.recorded_at as begun_at,
    noted.body as note,
    exists(
        select 1
        from upkeep.lease as l
        inner join pg_locks as k on l.backend_pid = k.pid and k.locktype = 'advisory' and k.granted
        where l.owner = %(run_id)s || ' (' || i.target || ')' and l.released_at is null
    ) as alive
from upkeep.action_event as i
left join lateral (
    select n.body
    from upkeep.action_event as n
    where
        n.run_id = i.run_id
        and n.target = i.target
        and n.action_id = i.action_id
        and n.event = 'note'
        and n.id > i.id
        and n.body ?| array['rows', 'rows_so_far']
    order by n.id desc
    limit 1
) as noted on true
where
    i.run_id = %(run_id)s
    and (%(target)s::text is null or i.target = %(target)s)
    and i.event = 'intent'
    and not exists (
        select 1
        from upkeep.action_event as later
        where
            later.run_id = i.run_id
            and later.target = i.target
            and later.action_id = i.action_id
            and later.event != 'note'
            and later.id > i.id
    )
order by i.target, i.id;
