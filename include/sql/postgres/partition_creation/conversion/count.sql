-- How many rows a partition holds.
select count(*)::bigint as rows from only {table}
