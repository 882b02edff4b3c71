-- Let a table's comment say something.
comment on table {table} is {comment};
