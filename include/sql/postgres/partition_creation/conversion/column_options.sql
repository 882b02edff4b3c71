-- The owner's own estimates for a column.
alter table only {table} alter column {column} set ({options})
