-- What people decided about plans, and that a decision was used. The newest row of a plan id tells where it
-- stands: granted counts once and for a while, used and rejected do not count.
create table upkeep.approval (
    id bigint not null default nextval('upkeep.entry_id'),
    recorded_at timestamptz not null,
    plan_id text collate "C" not null,
    target text not null,
    job text not null,
    event text not null check (event in ('granted', 'rejected', 'used')),
    actor text not null,
    how text not null,
    reason text not null default '',
    run_id text collate "C" not null,
    primary key (id, recorded_at)
) partition by range (recorded_at);
comment on table upkeep.approval is 'Approvals, append-only; run_id: the run that planned, or used it';
create index approval_plan_id_idx on upkeep.approval (plan_id, id desc);
