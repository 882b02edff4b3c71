-- A role that the backup names: without it nothing of its own could be restored. It cannot log in.
create role {name}
