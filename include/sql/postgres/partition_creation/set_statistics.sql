-- How finely a column is analysed, as on the siblings.
alter table only {table} alter column {column} set statistics {target}
