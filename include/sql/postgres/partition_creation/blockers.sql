-- Who holds a lock that a new partition would have to wait for: on a parent, another change of it; on a default
-- partition, anything at all (ATTACH takes ACCESS EXCLUSIVE there). Autovacuum gives way and is left out.
select
    l.relation::bigint as oid,
    max(extract(epoch from clock_timestamp() - coalesce(a.xact_start, p.prepared)))::double precision as seconds,
    (array_agg(l.pid order by coalesce(a.xact_start, p.prepared)))[1] as pid,
    (array_agg(coalesce(a.application_name, p.gid, '') order by coalesce(a.xact_start, p.prepared)))[1] as application
from pg_locks as l
left join pg_stat_activity as a on l.pid = a.pid
left join pg_prepared_xacts as p on l.pid is null and l.virtualtransaction = '-1/' || p.transaction::text
where
    l.locktype = 'relation'
    and l.granted
    and l.pid is distinct from pg_backend_pid()
    and l.database = (select d.oid from pg_database as d where d.datname = current_database())
    and coalesce(a.backend_type, '') != 'autovacuum worker'
    and (
        l.relation = any(%(defaults)s::oid[])
        or (
            l.relation = any(%(parents)s::oid[])
            and l.mode in (
                'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'
            )
        )
    )
group by l.relation
