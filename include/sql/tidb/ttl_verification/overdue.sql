-- How many rows are overdue, counted up to a limit; gives up after 10 seconds.
select /*+ MAX_EXECUTION_TIME(10000) */ count(*) as overdue
from (select 1 from {source} where {predicate} limit %(most)s) as r -- noqa: AM09
