-- Whether a row of this partition is still referred to: such a partition cannot be detached.
select exists(
    select from {referencing} as r -- noqa: AL05
    inner join {table} as t on {condition} -- noqa: AL05
) as found
