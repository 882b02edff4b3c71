-- Backups of targets: when the snapshot was taken, and when a restore of it was verified. Append-only: a
-- verification is a row of its own.
create table upkeep.backup (
    id bigint not null default nextval('upkeep.entry_id'),
    recorded_at timestamptz not null,
    target text not null,
    snapshot_at timestamptz not null,
    verified_at timestamptz,
    location text not null,
    evidence jsonb not null default '{}',
    primary key (id, recorded_at)
) partition by range (recorded_at);
comment on table upkeep.backup is 'Backups and their verification, append-only';
create index backup_verified_idx on upkeep.backup (target, snapshot_at desc) where verified_at is not null;
