-- Begin a run. Its id starts with the second it was started in, so ids sort by time.
insert into upkeep.run (run_id, job, at, trigger, actor, options, started_at)
select
    to_char(clock.now at time zone 'UTC', 'YYYYMMDD"T"HH24MISS"Z-"') || %(suffix)s::text,
    %(job)s,
    %(at)s,
    %(trigger)s,
    %(actor)s,
    %(options)s,
    clock.now
from (select coalesce(%(now)s::timestamptz, clock_timestamp()) as now) as clock
returning run_id;
