-- The newest result of each gate of a run, in the order of evaluation.
select target, body
from (
    select distinct on (target, stage, suite) target, body, id
    from upkeep.gate
    where run_id = %(run_id)s and (%(target)s::text is null or target = %(target)s)
    order by target asc, stage asc, suite asc, id desc
) as newest
order by target, id;
