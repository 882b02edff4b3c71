-- Who changes a physical database, and its fence token: one higher at each acquisition, so that a holder
-- that lost its lock without noticing is told apart from the present one. The lock itself is an advisory
-- lock of the holder's session; this row explains it.
create table upkeep.lease (
    identity text primary key,
    token bigint not null,
    owner text not null,
    backend_pid integer not null,
    acquired_at timestamptz not null,
    released_at timestamptz
);
comment on table upkeep.lease is 'Fence tokens of the lock on each physical database';
