-- One row of each region of a table, and how many of these are overdue: where no index tells, a look at a few.
select /*+ MAX_EXECUTION_TIME(10000) */
    count(*) as sampled,
    coalesce(sum({predicate}), 0) as overdue
from {table} tablesample regions() -- noqa: PRS, AL01, AL05
