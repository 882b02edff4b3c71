-- Completes a concurrent detaching that was interrupted. Stands alone, outside a transaction.
alter table {parent} detach partition {partition} finalize
