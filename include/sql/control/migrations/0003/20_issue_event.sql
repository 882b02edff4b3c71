-- What happened to findings, append-only. run_id is null where a person acknowledged: evidence then says who,
-- until when and why.
create table upkeep.issue_event (
    id bigint not null default nextval('upkeep.entry_id'),
    recorded_at timestamptz not null,
    fingerprint text collate "C" not null,
    run_id text collate "C",
    event text not null check (event in ('new', 'returned', 'changed', 'mended', 'gone', 'acknowledged')),
    severity text not null,
    evidence jsonb not null,
    primary key (id, recorded_at)
) partition by range (recorded_at);
comment on table upkeep.issue_event is 'What happened to findings, append-only';
create index issue_event_fingerprint_idx on upkeep.issue_event (fingerprint, id desc);
