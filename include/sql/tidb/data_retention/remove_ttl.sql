-- Takes a time to live out that a copy has inherited: what is detached is dropped by nobody but Upkeep.
alter table {table} remove ttl -- noqa: PRS
