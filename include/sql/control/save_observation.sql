-- Store what a run saw.
insert into upkeep.observation (recorded_at, run_id, target, stage, content)
values (coalesce(%(now)s::timestamptz, clock_timestamp()), %(run_id)s, %(target)s, %(stage)s, %(content)s);
