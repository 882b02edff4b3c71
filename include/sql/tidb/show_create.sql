-- The table as SQL: what an exchange table has to be alike, and the table's time to live.
show create table {table}
