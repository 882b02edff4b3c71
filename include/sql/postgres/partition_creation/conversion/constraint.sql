-- A key or foreign key of the partitioned table, by the definition of the plain one's, so that ATTACH joins the two.
alter table {table} add constraint {name} {definition}
