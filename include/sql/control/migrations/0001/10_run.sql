-- Runs: one row for each time a job ran over the fleet. Not append-only (the end is written into it), so
-- not partitioned; no other table refers to it by a foreign key, so that months of history can be detached
-- from each table on their own.
create table upkeep.run (
    run_id text collate "C" primary key,
    job text not null,
    at timestamptz not null,
    trigger text not null,
    actor text not null,
    options jsonb not null,
    started_at timestamptz not null,
    finished_at timestamptz
);
comment on table upkeep.run is 'Runs of Upkeep; at: the instant the run works on, fixed at its start';
create index run_started_at_idx on upkeep.run (started_at desc);
create index run_job_started_at_idx on upkeep.run (job, started_at desc);
