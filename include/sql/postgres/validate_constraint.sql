-- Scans the table while readers and writers pass (SHARE UPDATE EXCLUSIVE).
alter table only {table} validate constraint {name}
