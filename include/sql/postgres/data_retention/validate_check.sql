-- Reads the table once, while others read and write it.
alter table {table} validate constraint {constraint}
