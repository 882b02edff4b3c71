-- Takes a partition out, under ACCESS EXCLUSIVE on parent and partition; its rows stay in it.
alter table {parent} detach partition {child}
