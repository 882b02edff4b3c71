-- The publication leaves one of the two tables for the other.
alter publication {publication} add table {table}{columns}{filter}
