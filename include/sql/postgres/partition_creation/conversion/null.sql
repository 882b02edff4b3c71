-- Whether a row has no value in the column that is to become the partition key: no range partition takes such a row.
select exists(select from only {table} where {key} is null) as any_null
