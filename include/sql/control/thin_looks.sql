-- Of looks older than two days keep the first of each hour, target and job. What is older than nine days was
-- thinned out before, so that this reads a week at the most.
with old as (
    select
        id,
        recorded_at,
        row_number() over (partition by target, job, date_trunc('hour', recorded_at) order by id) as place
    from upkeep.look
    where
        recorded_at >= date_trunc('hour', coalesce(%(now)s::timestamptz, clock_timestamp())) - interval '9 days'
        and recorded_at < date_trunc('hour', coalesce(%(now)s::timestamptz, clock_timestamp())) - interval '2 days'
)

delete from upkeep.look as thinned
using old
where thinned.id = old.id and thinned.recorded_at = old.recorded_at and old.place > 1;
