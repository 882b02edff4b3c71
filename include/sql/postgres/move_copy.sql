-- Copies the rows of the range; in one snapshot with the log, so that each change is either in the copy or in the log.
insert into {child} ({columns})
select {columns}
from only {default}
where {key} >= {lower} and {key} < {upper}
