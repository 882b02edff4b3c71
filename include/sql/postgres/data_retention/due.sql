-- How many rows of one table are due, counted up to a limit through the index, and the oldest of them.
select
    count(*) as due,
    min(s.age)::text as first
from (
    select t.{age} as age
    from {table} as t
    where {due}
    limit {limit} -- noqa: AM09
) as s
