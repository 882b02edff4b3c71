-- The planner's estimate of due rows, where there are too many to count.
explain (format json)
select 1
from {table} as t -- noqa: AL05
where {due}
