-- Drops a table that was a partition; never with CASCADE.
drop table {table}
