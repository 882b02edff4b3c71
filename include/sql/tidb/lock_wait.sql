-- How many seconds a statement waits for a row that others hold.
set session innodb_lock_wait_timeout = %(seconds)s
