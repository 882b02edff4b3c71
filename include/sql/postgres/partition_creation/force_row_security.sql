-- … for the owner too.
alter table only {table} force row level security
