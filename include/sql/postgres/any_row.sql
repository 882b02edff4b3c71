-- Whether there is a row at all.
select from only {table} limit 1
