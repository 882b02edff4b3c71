-- The least that Upkeep needs on a PostgreSQL database in care: docs/rights.md says which job needs what, and what
-- happens without it. Run it there as a superuser, or as the role that a managed service calls its administrator, with
-- `app_owner` replaced by the role that owns the tables in care and `public` by their schema; then: \password upkeep
-- No superuser, no replication, no right on anything that its tables' owner does not have.
create role upkeep with login nosuperuser nocreatedb nocreaterole noreplication connection limit 10;

-- Attaching, detaching and dropping partitions, and what is done to indexes, are the owner's rights in PostgreSQL:
-- there is no smaller grant.
grant app_owner to upkeep;

-- Partitions are created beside their parent, and handed to its owner, who must be allowed there too.
grant usage, create on schema public to upkeep;
grant usage, create on schema public to app_owner;

-- What others' sessions do, how far replicas and the archive of WAL are behind, how much disk is free and how much air
-- is in an index. The least of it is pg_read_all_stats (sessions and replicas): without that the gates, and what
-- health_check says of sessions, are "not available".
grant pg_monitor to upkeep;

-- The rest is for what not everybody has; take the dashes away where you have it.
-- Where the extension amcheck is there, reindex looks whether a new index is in order:
-- grant execute on function bt_index_check(regclass, boolean) to upkeep;
-- backup, where tables belong to others than `app_owner` too (a backup is of all tables, or it is refused):
-- grant pg_read_all_data to upkeep;
-- Where row-level security is forced upon owners (retention and backups must see every row, or are refused):
-- alter role upkeep bypassrls;
