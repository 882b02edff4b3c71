-- Row-level security for those who address the partition itself, as on the siblings; without policies nobody may.
alter table only {table} enable row level security
