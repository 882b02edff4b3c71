-- For `mode: observe`: reads the catalog and the statistics, may change nothing. Run it as a superuser in the
-- database in care, with `public` replaced by the schema of the tables; then: \password upkeep_observer
create role upkeep_observer with login nosuperuser nocreatedb nocreaterole noreplication connection limit 5;

-- Counting what is due needs to read the age column; leave this out and the counts are "not available".
grant usage on schema public to upkeep_observer;
grant select on all tables in schema public to upkeep_observer;

grant pg_read_all_stats to upkeep_observer;
