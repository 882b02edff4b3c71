-- Where a range of so many rows ends: read from the index alone. The cast stands outside, so that it is made once.
select s.edge::text as edge
from (
    select t.{age} as edge
    from {table} as t
    where t.{age} >= {low} and {due}
    order by t.{age}
    limit 1 offset {size}
) as s
