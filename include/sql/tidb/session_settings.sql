-- Pins every setting that our statements rely on. READ COMMITTED: each statement of a batch sees the rows that it
-- locks as they are now. No NO_ZERO_DATE: rows of other people's making must fit into the archive as they are. No
-- sql_select_limit: with one, the list of a table's columns would end early, and the rest would not be archived.
set session
time_zone = '+00:00',
sql_mode = 'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION',
autocommit = 1,
tidb_txn_mode = 'pessimistic',
transaction_isolation = 'READ-COMMITTED',
innodb_lock_wait_timeout = %(lock_wait)s,
max_execution_time = %(statement_milliseconds)s,
wait_timeout = %(idle_seconds)s,
foreign_key_checks = 1,
tidb_snapshot = '',
tidb_read_staleness = 0,
tidb_enable_external_ts_read = 0,
tidb_constraint_check_in_place_pessimistic = 1,
tidb_dml_type = 'standard',
sql_select_limit = 18446744073709551615,
allow_auto_random_explicit_insert = 1
