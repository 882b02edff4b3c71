-- What a run saw of a target before and after its changes: the observation as zlib-compressed JSON, since
-- it may hold thousands of rows. The newest row of (run, target, stage) counts.
create table upkeep.observation (
    id bigint not null default nextval('upkeep.entry_id'),
    recorded_at timestamptz not null,
    run_id text collate "C" not null,
    target text not null,
    stage text not null check (stage in ('before', 'after')),
    content bytea not null,
    primary key (id, recorded_at)
) partition by range (recorded_at);
comment on table upkeep.observation is 'Observations; content: zlib-compressed JSON';
alter table upkeep.observation alter column content set storage external;
create index observation_run_idx on upkeep.observation (run_id, target, stage, id desc);
