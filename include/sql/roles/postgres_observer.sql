-- For `mode: observe`: reads the catalog and the statistics, may change nothing. Leave out the jobs that Upkeep does
-- not run there. Run it in the database in care, as a superuser or a managed service's administrator (who may
-- have only pg_monitor to give: write that for pg_read_all_stats), with `public` replaced by the schema of the tables,
-- and give it a password: \password upkeep_observer

-- always: the tables can be named.
create role upkeep_observer with login nosuperuser nocreatedb nocreaterole noreplication connection limit 5;
grant usage on schema public to upkeep_observer;

-- partition_creation: what lies in default partitions; what others' sessions do, how far replicas are behind.
grant select on all tables in schema public to upkeep_observer;
grant pg_read_all_stats to upkeep_observer;

-- data_retention: counting what is due reads the age column; without it the counts are "not available".
grant select on all tables in schema public to upkeep_observer;
grant pg_read_all_stats to upkeep_observer;

-- health_check: what others' sessions do, how far replicas are behind; how much of a sequence's range is used.
grant pg_read_all_stats to upkeep_observer;
grant select on all sequences in schema public to upkeep_observer;

-- ttl_verification: what is due is counted.
grant select on all tables in schema public to upkeep_observer;

-- index_analysis: what others' sessions do.
grant pg_read_all_stats to upkeep_observer;

-- reindex: how much air is in an index is estimated from statistics of the columns that may be read.
grant select on all tables in schema public to upkeep_observer;
grant pg_read_all_stats to upkeep_observer;
