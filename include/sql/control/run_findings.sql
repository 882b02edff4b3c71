-- The findings of a run; of what was said again about a check and subject, only the last batch.
select target, body
from (
    select
        target,
        body,
        id,
        batch,
        max(batch) over (partition by target, check_name, subject) as last_batch
    from upkeep.finding
    where run_id = %(run_id)s and (%(target)s::text is null or target = %(target)s)
) as said
where batch = last_batch
order by target, id;
