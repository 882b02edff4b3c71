-- Takes a lock on a table and on all partitions below it: what is looked at under it stays as it is.
lock table {table} in {mode} mode
