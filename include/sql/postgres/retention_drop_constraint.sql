-- Drops one foreign key of a table that is about to go: each takes a lock on another table, so one at a time.
alter table {table} drop constraint if exists {constraint}
