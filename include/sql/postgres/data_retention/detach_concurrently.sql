-- Takes a partition out of its parent without blocking readers and writers. Stands alone, outside a transaction.
alter table {parent} detach partition {partition} concurrently
