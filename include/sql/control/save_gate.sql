-- Store the result of a gate.
insert into upkeep.gate (recorded_at, run_id, target, stage, suite, success, body)
values (
    coalesce(%(now)s::timestamptz, clock_timestamp()),
    %(run_id)s,
    %(target)s,
    %(stage)s,
    %(suite)s,
    %(success)s,
    %(body)s
);
