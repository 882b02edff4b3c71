-- Client connections of what is there for everybody, and of roles and databases that have a limit of their own.
-- Without pg_monitor the sessions of others are counted all the same.
with clients as (
    select
        usename,
        datname
    from pg_stat_activity
    where backend_type = 'client backend'
),

limits as (
    select
        'server' as subject,
        (select count(*) from clients) as used,
        current_setting('max_connections')::bigint
        - current_setting('superuser_reserved_connections')::bigint
        - coalesce(current_setting('reserved_connections', true)::bigint, 0) as allowed
    union all
    select
        'role ' || r.rolname,
        (select count(*) from clients where usename = r.rolname),
        r.rolconnlimit
    from pg_roles as r where r.rolconnlimit > 0 and not r.rolsuper
    union all
    select
        'database ' || d.datname,
        (select count(*) from clients where datname = d.datname),
        d.datconnlimit
    from pg_database as d where d.datconnlimit > 0
)

select
    subject,
    used,
    allowed as "limit",
    round(100.0 * used / greatest(allowed, 1), 1)::float8 as value
from limits
order by value desc
limit 100;
