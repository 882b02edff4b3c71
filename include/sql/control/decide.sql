-- Record a decision about a plan, or that it was used.
insert into upkeep.approval (recorded_at, plan_id, target, job, event, actor, how, reason, run_id)
values (
    coalesce(%(now)s::timestamptz, clock_timestamp()),
    %(plan_id)s,
    %(target)s,
    %(job)s,
    %(event)s,
    %(actor)s,
    %(how)s,
    %(reason)s,
    %(run_id)s
);
