-- Store a plan. A run that was begun to apply an approved plan only carries the plan of another run
-- (`planned_by` in its options): such a row is no newer planning, it neither supersedes nor renews.
insert into upkeep.plan (recorded_at, run_id, carried, target, job, plan_id, awaiting, content)
values (
    coalesce(%(now)s::timestamptz, clock_timestamp()),
    %(run_id)s,
    exists (select 1 from upkeep.run where run_id = %(run_id)s and options ? 'planned_by'),
    %(target)s,
    %(job)s,
    %(plan_id)s,
    %(awaiting)s,
    %(content)s
);
