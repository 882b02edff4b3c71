-- Makes an empty copy a plain table.
alter table {table} remove partitioning -- noqa: PRS
