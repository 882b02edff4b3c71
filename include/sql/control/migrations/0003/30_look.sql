-- What was looked at: one row for each target and run, partitioned by day. seen and unseen are names of checks
-- that looked, or could not; in unseen also the fingerprint of a finding that nobody could look at, or an
-- asterisk for everything. measured: the values that were seen, by check. Looks older than two days are thinned
-- out to one an hour.
create table upkeep.look (
    id bigint not null default nextval('upkeep.entry_id'),
    recorded_at timestamptz not null,
    run_id text collate "C" not null,
    target text not null,
    job text not null,
    at timestamptz not null,
    status text not null,
    seen text[] not null,
    unseen text[] not null,
    measured jsonb not null,
    primary key (id, recorded_at)
) partition by range (recorded_at);
comment on table upkeep.look is 'What was looked at, one row a target and run; partitioned by day';
create index look_target_job_idx on upkeep.look (target, job, recorded_at desc);
