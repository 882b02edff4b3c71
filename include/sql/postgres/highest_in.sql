-- The highest id in one partition; from its index where there is one.
select max({key})::bigint as at from {table}
