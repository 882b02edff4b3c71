-- Says what the rows are, without looking yet: with it validated, attaching needs no scan under a strong lock.
alter table {table} add constraint {constraint} check ({condition}) not valid
