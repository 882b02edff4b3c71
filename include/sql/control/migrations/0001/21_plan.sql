-- What a run planned for a target, as zlib-compressed JSON. Beside it what look-ups need: the plan's id, and
-- the ids of its actions that wait for a person. A carried plan was planned by another run, whose approved
-- part this run applies.
create table upkeep.plan (
    id bigint not null default nextval('upkeep.entry_id'),
    recorded_at timestamptz not null,
    run_id text collate "C" not null,
    carried boolean not null default false,
    target text not null,
    job text not null,
    plan_id text collate "C" not null,
    awaiting text[] not null,
    content bytea not null,
    primary key (id, recorded_at)
) partition by range (recorded_at);
comment on table upkeep.plan is 'Plans; content: zlib-compressed JSON; carried: planned by another run';
alter table upkeep.plan alter column content set storage external;
create index plan_run_idx on upkeep.plan (run_id, target, id desc);
create index plan_plan_id_idx on upkeep.plan (plan_id, id desc) where not carried;
create index plan_target_job_idx on upkeep.plan (target, job, id desc) where not carried;
