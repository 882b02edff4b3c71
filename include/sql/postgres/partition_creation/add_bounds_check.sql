-- Says what the bounds will say, so that ATTACH need not read the table again under its lock.
alter table {child} add constraint {name} check ({condition})
