-- What a run did to one target, in a word: started, and how it ended. A row without an end after its run
-- has ended is a target whose process was killed.
create table upkeep.run_target (
    run_id text collate "C" not null,
    target text not null,
    engine text not null,
    status text,
    at timestamptz,
    error text,
    started_at timestamptz not null,
    finished_at timestamptz,
    primary key (run_id, target)
);
comment on table upkeep.run_target is 'Targets of a run and how it ended for them';
create index run_target_target_finished_at_idx on upkeep.run_target (target, finished_at desc);
