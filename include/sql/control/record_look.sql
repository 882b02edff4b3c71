-- Write what a run looked at.
insert into upkeep.look (recorded_at, run_id, target, job, at, status, seen, unseen, measured)
values (
    coalesce(%(now)s::timestamptz, clock_timestamp()),
    %(run_id)s,
    %(target)s,
    %(job)s,
    %(at)s,
    %(status)s,
    %(seen)s,
    %(unseen)s,
    %(measured)s
);
