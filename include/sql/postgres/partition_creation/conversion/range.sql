-- Lowest and highest value of the column that is to become the partition key; from its index where there is one.
select
    min({key})::text as lowest,
    max({key})::text as highest
from only {table}
