-- Where a range of so many rows ends: read from the index alone. NULL: before that, the cut-off is reached.
-- The cast and the comparison with the cut-off stand outside, so that they are made once and not for every row.
select t.edge::text as edge
from (
    select s.{age}, s.{age} as edge
    from {table} as s
    where s.{age} >= {low}
    order by s.{age}
    limit 1 offset {size}
) as t
where {due}
