-- Scans the table while readers and writers pass (SHARE UPDATE EXCLUSIVE).
alter table {table} validate constraint {name}
