-- Write progress under an intent: what the next run needs after a kill.
insert into upkeep.action_event (recorded_at, run_id, target, action_id, event, body)
values (
    coalesce(%(now)s::timestamptz, clock_timestamp()), %(run_id)s, %(target)s, %(action_id)s, 'note', %(body)s
);
