-- Says what the bounds will say, so that ATTACH need not read the table again under its lock.
alter table only {child} add constraint {name} check ({key} is not null and {key} >= {lower} and {key} < {upper})
