-- Store a plan. A run that was begun to apply an approved plan (`planned_by` in its options) or to take actions
-- back (`undo`) only carries what another run planned: such a row is no newer planning, it neither supersedes
-- nor renews.
insert into upkeep.plan (recorded_at, run_id, carried, target, job, plan_id, awaiting, content)
values (
    coalesce(%(now)s::timestamptz, clock_timestamp()),
    %(run_id)s,
    exists (select 1 from upkeep.run where run_id = %(run_id)s and options ?| array['planned_by', 'undo']),
    %(target)s,
    %(job)s,
    %(plan_id)s,
    %(awaiting)s,
    %(content)s
);
