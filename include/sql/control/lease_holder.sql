-- Who holds the lock of a name on a physical database, since when: its owner, or who keeps it from beginning.
select
    l.name,
    l.owner,
    l.acquired_at
from pg_catalog.pg_locks as k
inner join upkeep.lease as l on k.pid = l.backend_pid
where
    l.identity = %(identity)s
    and l.released_at is null
    and k.locktype = 'advisory'
    and k.database = (select oid from pg_catalog.pg_database where datname = current_database())
    and k.objsubid = 1
    and (k.classid::bigint << 32) | k.objid::bigint = %(key)s
    and k.granted
    and k.pid != pg_backend_pid()
order by l.name = %(lease)s desc, l.acquired_at
limit 1;
