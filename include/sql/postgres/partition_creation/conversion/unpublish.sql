-- The publication leaves one of the two tables for the other.
alter publication {publication} drop table {table}
