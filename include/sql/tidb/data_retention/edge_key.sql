-- The key with which the next batch ends, where the age does not cut it.
select {hint} {keys} from {source} where {predicate} order by {keys} limit 1 offset {size}
