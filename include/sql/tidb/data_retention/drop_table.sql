-- Drops a detached table, or what was left half made.
drop table {table}
