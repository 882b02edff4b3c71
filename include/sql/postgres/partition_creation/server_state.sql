-- The server before a job: its clock, who we are, the oldest open transaction, and what an earlier, killed run
-- left half made (it carries a comment that starts with "upkeep:"). One row.
-- Without pg_read_all_stats other roles' transactions are not visible: then longest_transaction_seconds is null.
select
    clock_timestamp() as now,
    current_user::text as role,
    (
        select max(extract(epoch from clock_timestamp() - a.xact_start))::double precision
        from pg_stat_activity as a
        where a.datname = current_database() and a.pid != pg_backend_pid() and a.backend_type = 'client backend'
    ) as longest_transaction_seconds,
    (
        select coalesce(json_agg(json_build_object('oid', d.objoid::bigint, 'marker', d.description)), '[]')
        from pg_description as d
        where d.classoid in ('pg_class'::regclass, 'pg_constraint'::regclass) and d.description like 'upkeep:%%'
    ) as markers
