-- What replication says of changed rows, as on the siblings: full or nothing.
alter table only {table} replica identity {kind}
