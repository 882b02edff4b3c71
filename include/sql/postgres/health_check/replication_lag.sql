-- How far each replica is behind in replaying; on a replica, how far it is itself. No lag is known of one that has
-- replayed all: that is fine. No lag, and not all replayed, is not.
with here as (
    select
        pg_is_in_recovery() as replica,
        case when pg_is_in_recovery() then pg_last_wal_receive_lsn() else pg_current_wal_lsn() end as lsn
)

select
    coalesce(nullif(r.application_name, ''), '(no name)') || coalesce(' ' || host(r.client_addr), '') as subject,
    case when r.replay_lsn = h.lsn then 0 else extract(epoch from r.replay_lag)::float8 end as value,
    case when r.replay_lag is null and coalesce(r.replay_lsn <> h.lsn, true) then 'unknown' end as state,
    case when r.replay_lsn < h.lsn then r.replay_lsn::text end as held,
    pg_wal_lsn_diff(h.lsn, r.replay_lsn)::bigint as bytes
from pg_stat_replication as r
cross join here as h
where r.state not in ('backup', 'startup')
union all
select
    'server',
    case
        when h.lsn is null or h.lsn = pg_last_wal_replay_lsn() then 0
        else extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp())::float8
    end,
    case when not exists (select from pg_stat_wal_receiver) then 'disconnected' end,
    case when pg_last_wal_replay_lsn() < h.lsn then pg_last_wal_replay_lsn()::text end,
    pg_wal_lsn_diff(h.lsn, pg_last_wal_replay_lsn())::bigint
from here as h
where h.replica
limit 100;
