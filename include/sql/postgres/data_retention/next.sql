-- The next age after one that more rows share than go into a batch.
select min(t.{age})::text as first
from {table} as t
where t.{age} > {low} and {due}
