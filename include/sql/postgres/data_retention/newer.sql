-- Whether a table holds a row that was written by a transaction which a backup does not hold.
select exists(
    select
    from only {table} as t -- noqa: AL05
    where not ({old})
) as found
