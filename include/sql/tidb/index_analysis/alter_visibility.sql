-- Keep queries from an index, or let them use it again; writes keep it up to date all the time.
alter table {table} alter index {index} {visibility} -- noqa: PRS
