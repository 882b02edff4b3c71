-- The places of all rows of one age: kept on the server beyond the transaction, fetched batch by batch.
select t.ctid::text as place
from {table} as t
where t.{age} = {low} and {due}
