-- Write down what is about to be done, before the first statement of it.
insert into upkeep.action_event (recorded_at, run_id, target, job, action_id, action_kind, event, body)
values (
    coalesce(%(now)s::timestamptz, clock_timestamp()),
    %(run_id)s,
    %(target)s,
    %(job)s,
    %(action_id)s,
    %(action_kind)s,
    'intent',
    %(body)s
);
