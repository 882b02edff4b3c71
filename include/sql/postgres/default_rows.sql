-- The rows of a default partition, by the range that they would belong to: bucket n lies between thresholds n and
-- n + 1; null is no time at all. One pass over the table, whatever the number of ranges.
select
    width_bucket({key}::{type}, %(thresholds)s::{type}[]) as bucket,
    count(*) as rows,
    min({key})::text as lowest,
    max({key})::text as highest
from {table}
group by 1
