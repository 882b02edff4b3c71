-- Takes a partition out of its parent. Its rows stay in it.
alter table {parent} detach partition {partition}
