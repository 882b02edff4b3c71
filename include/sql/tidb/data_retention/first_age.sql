-- The lowest age among the due rows.
select {hint} {age} as edge from {source} where {predicate} order by {age} limit 1
