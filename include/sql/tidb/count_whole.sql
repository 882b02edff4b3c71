-- How many rows a table holds, for one without statistics; gives up after 5 seconds.
select /*+ MAX_EXECUTION_TIME(5000) */ count(*) as found
from {source}
