-- The least that Upkeep needs on a PostgreSQL database in care. Run it there as a superuser, with `app_owner`
-- replaced by the role that owns the tables in care and `public` by their schema; then: \password upkeep
-- No superuser, no replication, no right on anything that its tables' owner does not have.
create role upkeep with login nosuperuser nocreatedb nocreaterole noreplication connection limit 10;

-- Attaching, detaching and dropping partitions are the owner's rights in PostgreSQL: there is no smaller grant.
grant app_owner to upkeep;

-- Partitions are created beside their parent.
grant usage, create on schema public to upkeep;

-- Long transactions of other sessions, and the lag of replicas: without it the gates say "not available".
grant pg_read_all_stats to upkeep;
