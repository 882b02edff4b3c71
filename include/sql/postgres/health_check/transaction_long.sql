-- The oldest open transaction of each user and application. Upkeep's own are held by their own deadlines, and a dump
-- is as long as it is.
select
    usename || '@' || coalesce(nullif(application_name, ''), '(no name)') as subject,
    count(*) as sessions,
    min(pid) filter (where xact_start = oldest) as pid,
    extract(epoch from clock_timestamp() - min(xact_start))::float8 as value
from (
    select
        *,
        min(xact_start) over (partition by usename, application_name) as oldest
    from pg_stat_activity
) as a
where
    a.xact_start is not null
    and a.backend_type = 'client backend'
    and a.pid <> pg_backend_pid()
    and coalesce(a.application_name, '') not like 'upkeep%%'
    and coalesce(a.application_name, '') not in ('pg_dump', 'pg_basebackup')
group by a.usename, a.application_name
order by value desc
limit 20;
