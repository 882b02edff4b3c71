-- Whether the table holds a row.
select exists(select from {table}) as found
