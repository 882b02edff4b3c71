-- Whether a default partition holds a row; never how many.
select exists(select from only {table}) as holds
