-- How many buckets the next ANALYZE makes; it reads 300 pages for each. NULL: as the server has it.
select set_config('default_statistics_target', coalesce(%(target)s, s.reset_val), false) as target
from pg_settings as s
where s.name = 'default_statistics_target'
