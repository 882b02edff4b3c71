-- Says what the bounds of the first partition will say, so that ATTACH need not read the table under its lock.
-- Not valid: nothing is scanned under this lock; the validation after it lets readers and writers pass.
alter table only {table} add constraint {name}
check ({key} is not null and {inside}) not valid
