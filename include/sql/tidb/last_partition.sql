-- Adds every interval up to a bound to an INTERVAL partitioned table.
alter table {table} last partition less than ({bound}) -- noqa: PRS
