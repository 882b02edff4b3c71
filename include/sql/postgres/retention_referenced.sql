-- Whether a row of this partition is still referred to: such a partition cannot be detached.
select exists(select from {referencing} inner join {table} on {condition}) as found
