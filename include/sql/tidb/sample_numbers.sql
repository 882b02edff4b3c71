-- Some numbers of a column: whether they are times in the declared unit. Gives up after 5 seconds.
select /*+ MAX_EXECUTION_TIME(5000) */ {key} as number
from {table}
where {key} is not null and {key} <> 0
limit 100 -- noqa: AM09
