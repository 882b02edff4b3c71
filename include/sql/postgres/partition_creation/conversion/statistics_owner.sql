-- Extended statistics belong to whom they belonged.
alter statistics {statistics} owner to {role}
