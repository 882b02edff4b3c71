-- How many sessions of this database there are whose transactions our role may not see.
select count(*) as sessions
from pg_stat_activity as a
where a.datname = current_database() and a.backend_start is null
