-- What happened to actions: the intent before the first statement, notes on the way, the outcome. An intent
-- without an outcome is what a killed run had begun. object_oid is the detached, dropped or re-attached
-- table of an outcome: the memory of detached partitions looks for it. undoes is the action that a done action
-- took back.
create table upkeep.action_event (
    id bigint not null default nextval('upkeep.entry_id'),
    recorded_at timestamptz not null,
    run_id text collate "C" not null,
    target text not null,
    job text,
    action_id text collate "C" not null,
    action_kind text,
    event text not null check (event in ('intent', 'note', 'done', 'skipped', 'failed')),
    object_oid text,
    undoes text,
    body jsonb not null,
    primary key (id, recorded_at)
) partition by range (recorded_at);
comment on table upkeep.action_event is 'Intents, notes and outcomes of actions, append-only';
create index action_event_run_idx on upkeep.action_event (run_id, target, action_id, id);
create index action_event_intent_idx on upkeep.action_event (target, job, id) where event = 'intent';
create index action_event_ended_idx on upkeep.action_event (action_id, target, id) where event in ('done', 'failed');
create index action_event_undoes_idx on upkeep.action_event (undoes, target, id) where undoes is not null;
create index action_event_object_idx on upkeep.action_event (target, object_oid, id)
where event = 'done' and object_oid is not null;
