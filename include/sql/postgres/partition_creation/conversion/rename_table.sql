-- The name goes from the plain table to the partitioned one (or back).
alter table {table} rename to {name}
