-- The lowest age among the due rows: where the first range begins.
select min(t.{age})::text as first
from {table} as t
where {due}
