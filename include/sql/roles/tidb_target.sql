-- noqa:disable=all
-- The least that Upkeep needs on a TiDB that it takes care of, job by job: leave out the jobs that it does not run there. Run
-- it as root (mysql … < tidb_target.sql) with `app` replaced by your database; then give it a password:
-- (`_` and `%` in a database's name are wildcards in GRANT: write `shop\_1`.* for shop_1)
--   alter user 'upkeep'@'%' identified by '…' account unlock;

-- always: which cluster it is; what there is; sessions, transactions and schema changes of others, of which TiDB shows
-- nothing without PROCESS, and says nothing.
create user 'upkeep'@'%' account lock;
grant select on mysql.tidb to 'upkeep'@'%';
grant select on app.* to 'upkeep'@'%';
grant process on *.* to 'upkeep'@'%';

-- partition_creation: adding partitions and dividing the last one, which counts as a drop too.
grant alter, create, insert, drop on app.* to 'upkeep'@'%';

-- data_retention: rows; detaching is an exchange with a new, marked table, which goes later.
grant alter, create, insert, delete, update, drop on app.* to 'upkeep'@'%';

-- health_check: limits of connections and disks of each member; how old statistics are.
grant config on *.* to 'upkeep'@'%';
grant select on mysql.stats_meta to 'upkeep'@'%';

-- ttl_verification: the jobs of the server's own expiry.
grant select on mysql.tidb_ttl_table_status to 'upkeep'@'%';
grant select on mysql.tidb_ttl_job_history to 'upkeep'@'%';

-- index_analysis: making an index invisible; how old statistics are.
grant alter, index on app.* to 'upkeep'@'%';
grant select on mysql.stats_meta to 'upkeep'@'%';

-- backup: dumpling reads tables, views and sequences.
grant select, show view on app.* to 'upkeep'@'%';
