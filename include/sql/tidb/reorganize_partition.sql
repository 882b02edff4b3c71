-- Cuts partitions anew, online: rows are copied, those that arrive meanwhile are written to both.
alter table {table} reorganize partition {partitions} into ({into}) -- noqa: PRS
