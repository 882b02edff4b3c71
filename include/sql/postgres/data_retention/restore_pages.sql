-- How many pages the staged rows lie on.
select (pg_relation_size('pg_temp.upkeep_restore') / current_setting('block_size')::bigint)::bigint as pages
