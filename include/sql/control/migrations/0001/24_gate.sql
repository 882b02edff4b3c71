-- Results of the expectation suites before and after. The newest row of (run, target, stage) counts.
create table upkeep.gate (
    id bigint not null default nextval('upkeep.entry_id'),
    recorded_at timestamptz not null,
    run_id text collate "C" not null,
    target text not null,
    stage text not null,
    suite text not null,
    success boolean not null,
    body jsonb not null,
    primary key (id, recorded_at)
) partition by range (recorded_at);
comment on table upkeep.gate is 'Results of gates, append-only';
create index gate_run_idx on upkeep.gate (run_id, target, stage, id desc);
