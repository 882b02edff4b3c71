-- Whether there is a row at all.
select from {table} limit 1
