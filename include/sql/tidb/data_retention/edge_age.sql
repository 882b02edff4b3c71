-- The age at which the next batch ends, read from the index alone.
select {hint} {age} as edge from {source} where {predicate} and {age} >= {low} order by {age} limit 1 offset {size}
