-- noqa:disable=all
-- For `mode: observe`: may change nothing. Leave out the jobs that Upkeep does not run there. Run it as root
-- (mysql … < tidb_observer.sql) with `app` replaced by your database; then give it a password:
-- (`_` and `%` in a database's name are wildcards in GRANT: write `shop\_1`.* for shop_1)
--   alter user 'upkeep_observer'@'%' identified by '…' account unlock;

-- always: which cluster it is; what there is; sessions, transactions and schema changes of others, of which TiDB shows
-- nothing without PROCESS, and says nothing.
create user 'upkeep_observer'@'%' account lock;
grant select on mysql.tidb to 'upkeep_observer'@'%';
grant select on app.* to 'upkeep_observer'@'%';
grant process on *.* to 'upkeep_observer'@'%';

-- health_check: limits of connections and disks of each member; how old statistics are.
grant config on *.* to 'upkeep_observer'@'%';
grant select on mysql.stats_meta to 'upkeep_observer'@'%';

-- ttl_verification: the jobs of the server's own expiry.
grant select on mysql.tidb_ttl_table_status to 'upkeep_observer'@'%';
grant select on mysql.tidb_ttl_job_history to 'upkeep_observer'@'%';

-- index_analysis: how old statistics are.
grant select on mysql.stats_meta to 'upkeep_observer'@'%';
