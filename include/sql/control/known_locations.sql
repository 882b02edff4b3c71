-- The mark that each archive location had when rows last went there: a location without it, or with another one, is
-- not the same place (a disk that is not mounted, a new bucket).
select distinct on (n.body ->> 'archive_location')
    n.body ->> 'archive_location' as location,
    n.body ->> 'location_id' as location_id
from upkeep.action_event as i
inner join upkeep.action_event as n
    on
        i.run_id = n.run_id
        and i.target = n.target
        and i.action_id = n.action_id
where
    i.target = %(target)s
    and i.job = %(job)s
    and i.event = 'intent'
    and i.action_kind in ('archive_rows', 'archive_partition')
    and n.event = 'note'
    and n.body ->> 'location_id' is not null
order by n.body ->> 'archive_location' asc, n.id desc;
