-- SHARE UPDATE EXCLUSIVE on the parent: readers and writers pass. ACCESS EXCLUSIVE on a default partition, whose rows
-- are read to see that none belongs here.
alter table {parent} attach partition {child} {bounds} -- noqa: PRS
