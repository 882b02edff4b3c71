-- Write down what became of a backup.
insert into upkeep.backup (
    recorded_at, target, snapshot_at, verified_at, location, evidence, backup, identity, event, run_id
)
values (
    coalesce(%(now)s, clock_timestamp()),
    %(target)s,
    %(snapshot_at)s,
    %(verified_at)s,
    %(location)s,
    %(evidence)s,
    %(backup)s,
    %(identity)s,
    %(event)s,
    %(run_id)s
);
