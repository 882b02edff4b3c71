-- Writes (or, with NULL, removes) our marker.
comment on table {table} is {comment}
