-- Takes a lock before the statement that needs it, so that parent comes before child whatever that statement does.
lock table only {table} in {mode} mode
