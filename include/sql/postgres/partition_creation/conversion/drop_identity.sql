-- A partition has no identity of its own: the partitioned table's goes on where it stood.
alter table only {table} alter column {column} drop identity
