-- The partition belongs to whom its siblings belong to.
alter table {table} owner to {role}
