-- Drops partitions that were found empty.
alter table {table} drop partition {partitions} -- noqa: PRS
