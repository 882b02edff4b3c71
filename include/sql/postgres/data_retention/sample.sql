-- Ends of small ranges of about equal size, from a few pages of the table: reading them all from the index would cost
-- a sixth of the time of deleting the rows.
select e.age::text as edge
from (
    select
        t.{age} as age,
        row_number() over (order by t.{age}) as place
    from {table} as t tablesample system ({percent}) -- noqa: PRS
    where {due}
) as e
where mod(e.place, {step}) = 0
order by e.place
