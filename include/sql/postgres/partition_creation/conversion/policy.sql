-- A policy of row-level security, as it was.
create policy {name} on {table} as {mode} for {command} to {roles}{expressions}
