-- Record how a target ended. A later call (a cleared task) replaces what an earlier one said.
update upkeep.run_target
set
    status = %(status)s,
    at = %(at)s,
    error = %(error)s,
    finished_at = coalesce(%(now)s::timestamptz, clock_timestamp())
where run_id = %(run_id)s and target = %(target)s
returning target;
