-- Progress every ten minutes since the first month; then what no partition exists for and the default one caught:
-- the rows of a missing month, what is planned for next month, and one row of a clock far ahead.
insert into public.pipeline_progress (timestamp, experiment_id, node_id, stage, completed, total)
select
    times.at,
    'experiment-' || to_char(times.at at time zone 'UTC', 'YYYY-MM') as experiment_id,
    'node-' || mod(extract(epoch from times.at)::bigint / 600, 12) as node_id,
    (array['extract', 'transform', 'load'])[1 + mod(extract(epoch from times.at)::bigint / 600, 3)] as stage,
    mod(extract(epoch from times.at)::bigint / 600, 1000) as completed,
    1000 as total
from (
    select generate_series(%(first)s::timestamptz, now(), interval '10 minutes') as at
    union all
    select %(next_month)s::timestamptz + number * interval '1 hour' from generate_series(1, 40) as number
    union all
    select '2099-07-01 00:00:00+00'::timestamptz
) as times
order by times.at;
