-- Copies the rows that belong; in one snapshot with the log, so that each change is either in the copy or in the log.
insert into {child} ({columns})
select {columns}
from {default} as d -- noqa: AL05
where {belongs}
