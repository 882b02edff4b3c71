-- Drops one table; never with CASCADE: what depends on it is a reason to stop.
drop table {table}
