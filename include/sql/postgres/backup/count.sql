-- How many rows a table itself has.
select count(*)::bigint as rows from only {table} as t -- noqa: AL05
