-- An index that siblings have of their own; the rest is the text of theirs, from the catalog.
create index on {table} {rest}
