-- Record the end of a run.
update upkeep.run
set finished_at = coalesce(%(now)s::timestamptz, clock_timestamp())
where run_id = %(run_id)s
returning run_id;
