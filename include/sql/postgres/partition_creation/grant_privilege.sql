-- What others may do with the siblings, they may do here.
grant {privilege}{column} on {table} to {role}{again}
