-- Deletes the rows that were copied back.
delete from {other} where {predicate}
