-- Who dumps this database right now: a client that calls itself pg_dump, or one that has kept a shared lock on all of
-- many tables for a while. A request for a stronger lock would wait for it, and the dump's own workers behind that.
with dumpers as (
    select a.pid, a.usename, a.application_name, a.xact_start
    from pg_stat_activity as a
    where
        a.datname = current_database()
        and a.pid != pg_backend_pid()
        and a.backend_type = 'client backend'
        and (
            a.application_name ~ 'pg_dump'
            or (
                a.xact_start < clock_timestamp() - interval '10 seconds'
                and (
                    select count(*) from pg_locks as l
                    inner join pg_class as c on l.relation = c.oid
                    where
                        l.pid = a.pid and l.locktype = 'relation' and l.mode = 'AccessShareLock'
                        and l.database = (select d.oid from pg_database as d where d.datname = current_database())
                        and c.relkind in ('r', 'p') and c.relnamespace != 'pg_catalog'::regnamespace
                ) >= (
                    select greatest(count(*), 10) from pg_class as c
                    inner join pg_namespace as n on c.relnamespace = n.oid
                    where c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname != 'information_schema'
                )
            )
        )
)

select
    min(d.pid) as pid,
    coalesce(min(d.usename)::text, 'somebody') as role,
    coalesce(nullif(min(d.application_name), ''), 'a client that has locked all tables') as application,
    to_char(min(d.xact_start) at time zone 'UTC', 'HH24:MI:SS') as since
from dumpers as d
having count(*) > 0
