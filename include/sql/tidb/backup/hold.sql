-- The transaction that holds the snapshot lives as long as the dump: no limit of its own ends it before.
set session
wait_timeout = 86400,
tidb_idle_transaction_timeout = 0
