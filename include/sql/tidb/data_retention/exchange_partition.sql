-- Swaps the data of a partition with that of an empty table: no row is copied.
alter table {table} exchange partition {partition} with table {other} -- noqa: PRS
