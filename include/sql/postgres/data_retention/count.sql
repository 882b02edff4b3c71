-- How many rows the table holds, counted up to a limit.
select count(*) as found
from (
    select
    from {table}
    limit {limit} -- noqa: AM09
) as s
