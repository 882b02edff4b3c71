-- Some numbers of a column, whichever come first: enough to see whether they are times in the unit declared.
select t.{key}::bigint as at
from {table} as t
where t.{key} is not null
limit 100 -- noqa: AM09
