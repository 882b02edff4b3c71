-- The rows of one table that are about to go, for the owner's own expectations: the columns that these name and the
-- primary key. Dates, times and whatever is no number come as text.
select {wanted}
from only {table} as t
where {due}
