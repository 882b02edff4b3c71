-- The identity, with the sequence's name and settings as they were.
alter table {table} alter column {column} add generated {always} as identity (
    sequence name {sequence} start with {start} increment by {increment}
    minvalue {minimum} maxvalue {maximum} cache {cache} {cycle}
)
