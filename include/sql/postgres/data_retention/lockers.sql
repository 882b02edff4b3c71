-- Who holds a lock on the partitioned table: DETACH … CONCURRENTLY waits for all of them after it has marked the
-- partition, so it is not even begun while somebody stays.
select count(*) as holders
from pg_locks as l
where
    l.locktype = 'relation' and l.granted and l.relation = %(oid)s::oid and l.pid is distinct from pg_backend_pid()
    and l.database = (select d.oid from pg_database as d where d.datname = current_database())
