-- What replication says of changed rows, as on the siblings: the key of this index.
alter table only {table} replica identity using index {index}
