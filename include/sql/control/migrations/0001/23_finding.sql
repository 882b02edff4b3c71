-- What checks saw. Findings come in batches; a later batch of the same run replaces what it says again
-- about a check and subject.
create table upkeep.finding (
    id bigint not null default nextval('upkeep.entry_id'),
    recorded_at timestamptz not null,
    run_id text collate "C" not null,
    target text not null,
    batch bigint not null,
    check_name text not null,
    subject text not null,
    status text not null,
    severity text not null,
    body jsonb not null,
    primary key (id, recorded_at)
) partition by range (recorded_at);
comment on table upkeep.finding is 'Findings of checks, append-only';
create index finding_run_idx on upkeep.finding (run_id, target, id);
create index finding_target_check_idx on upkeep.finding (target, check_name, recorded_at desc);
