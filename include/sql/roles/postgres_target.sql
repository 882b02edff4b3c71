-- The least that Upkeep needs on a PostgreSQL database in care, job by job: leave out the jobs that it does not run
-- there; docs/rights.md says what happens without each right. Run it there as a superuser, or as the role that a
-- managed service calls its administrator, with `app_owner` replaced by the role that owns the tables in care and
-- `public` by their schema; then: \password upkeep
-- No superuser, no replication, no right on anything that its tables' owner does not have. What has dashes before it is
-- for what not everybody has: take them away where you have it.

-- always: the tables can be named. Where row-level security is forced upon owners, retention and backups must see every
-- row all the same, or are refused:
-- alter role upkeep bypassrls;
create role upkeep with login nosuperuser nocreatedb nocreaterole noreplication connection limit 10;
grant usage on schema public to upkeep;

-- partition_creation: attaching is the owner's right, there is no smaller grant; partitions are made beside their
-- parent and handed to its owner, who must be allowed there too; what others' sessions do, how far replicas are behind.
grant app_owner to upkeep;
grant usage, create on schema public to upkeep;
grant usage, create on schema public to app_owner;
grant pg_read_all_stats to upkeep;

-- data_retention: detaching and dropping are the owner's rights; pg_monitor tells how far the archive of WAL is behind.
grant app_owner to upkeep;
grant pg_monitor to upkeep;

-- backup: all tables are read, or it is refused. Where some belong to others than `app_owner` too:
-- grant pg_read_all_data to upkeep;
grant app_owner to upkeep;
grant pg_read_all_stats to upkeep;

-- health_check: what others' sessions do, how far replicas are behind; how much of a sequence's range is used.
grant pg_read_all_stats to upkeep;
grant select on all sequences in schema public to upkeep;

-- ttl_verification: what is due is counted.
grant select on all tables in schema public to upkeep;

-- index_analysis: what is done to indexes is the owner's right.
grant app_owner to upkeep;
grant pg_read_all_stats to upkeep;

-- reindex: the same; pg_monitor tells how much disk is free and how much air is in an index. Where the extension
-- amcheck is there, whether the new one is in order:
-- grant execute on function bt_index_check(regclass, boolean) to upkeep;
grant app_owner to upkeep;
grant pg_monitor to upkeep;
