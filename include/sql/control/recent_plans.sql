-- The plans of a target and job of the last two days that had something for a person: their questions may be open.
select distinct plan_id
from upkeep.plan
where
    target = %(target)s and job = %(job)s and not carried and cardinality(awaiting) > 0
    and recorded_at > coalesce(%(now)s::timestamptz, clock_timestamp()) - interval '2 days'
order by plan_id;
