-- How many rows a predicate finds, counted up to a limit; gives up after 20 seconds.
select /*+ MAX_EXECUTION_TIME(20000) */ count(*) as found
from (select 1 from {source} where {predicate} limit %(most)s) as r -- noqa: AM09
