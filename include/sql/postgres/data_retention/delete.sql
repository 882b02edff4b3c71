-- Deletes one batch. The age predicate is always part of it; a row that somebody made younger in between stays.
delete from only {table} as t
where {range} and {due}
