-- The lives of findings: one row for each fingerprint (a digest of target, job, check and subject). It changes
-- only when something happens to it: found first, found again after it was gone, another severity, mended by
-- a run, gone by itself, acknowledged by a person. When it was last seen is told by the looks, so that a
-- finding which merely stands writes nothing here. status: finding, or how the check could not look.
create table upkeep.issue (
    fingerprint text collate "C" primary key,
    target text not null,
    job text not null,
    check_name text not null,
    subject text not null,
    status text not null,
    severity text not null,
    summary text not null,
    remedy text,
    evidence jsonb not null,
    first_seen timestamptz not null,
    first_run text collate "C" not null,
    gone_at timestamptz,
    gone_by text check (gone_by in ('mended', 'gone')),
    gone_run text collate "C",
    acknowledged_until timestamptz,
    acknowledged_by text,
    acknowledged_why text
);
comment on table upkeep.issue is 'Lives of findings; gone_at null: open';
create index issue_target_job_idx on upkeep.issue (target, job);
create index issue_gone_at_idx on upkeep.issue (gone_at);
