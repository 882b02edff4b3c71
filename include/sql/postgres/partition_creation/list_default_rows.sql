-- The rows of a default partition by the list partition that they would belong to (its place among the missing ones;
-- null: none of them), and what they say of the column that sub-partitions go by. One pass over the table.
select
    {bucket} as bucket,
    count(*) as rows,
    min(d.{key}::text) as lowest,
    max(d.{key}::text) as highest,
    min({below})::text as first,
    max({below})::text as last,
    count(*) filter (where {below} is null) as without
from {table} as d
group by 1
