-- Adds partitions above the last one.
alter table {table} add partition ({partitions}) -- noqa: PRS
