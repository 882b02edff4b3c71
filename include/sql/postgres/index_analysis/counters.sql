-- Since when this server counts the use of indexes, and who else answers queries and counts for itself. One row.
-- counters changes whenever they begin anew: by a reset, a crash (which resets all that servers share), a fail-over
-- (the time line), a restore. replicas: whose purpose our role may not see counts as one.
select
    (
        select
            c.timeline_id::text || ' ' || coalesce(
                greatest(d.stats_reset, least(b.stats_reset, a.stats_reset, w.stats_reset))::text, ''
            )
        from pg_control_checkpoint() as c
        cross join pg_stat_bgwriter as b
        cross join pg_stat_archiver as a
        cross join pg_stat_wal as w
        cross join pg_stat_database as d
        where d.datname = current_database()
    ) as counters,
    current_setting('track_counts')::boolean as counts,
    (
        select count(*)
        from pg_stat_replication as r
        where
            r.state is distinct from 'backup'
            and r.application_name is distinct from 'pg_receivewal'
            and not exists (
                select from pg_replication_slots as l where l.active_pid = r.pid and l.slot_type = 'logical'
            )
    ) + (
        select count(*) from pg_replication_slots as l where l.slot_type = 'physical' and not l.active
    ) as replicas
