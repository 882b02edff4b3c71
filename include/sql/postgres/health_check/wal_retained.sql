-- What keeps WAL from being removed: slots that nobody reads, and an archiver that fails. An idle server archives
-- nothing: only a failure after the last success counts.
select
    'slot ' || slot_name as subject,
    null::float8 as value,
    case when wal_status in ('unreserved', 'lost') then wal_status end as state,
    case when not active and coalesce(wal_status, '') not in ('unreserved', 'lost') then 'inactive' end as held,
    case
        when restart_lsn is null then null
        when pg_is_in_recovery() then pg_wal_lsn_diff(pg_last_wal_replay_lsn(), restart_lsn)::bigint
        else pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint
    end as bytes,
    'nobody reads from it' as what
from pg_replication_slots
where not active or wal_status in ('unreserved', 'lost')
union all
select
    'archiver',
    case
        when last_failed_time > coalesce(last_archived_time, '-infinity')
            then extract(epoch from clock_timestamp() - greatest(last_archived_time, stats_reset))::float8
        else 0
    end,
    null,
    null,
    null,
    'archiving has failed since its last success: ' || failed_count || ' times in all'
from pg_stat_archiver
where current_setting('archive_mode') <> 'off'
limit 100;
