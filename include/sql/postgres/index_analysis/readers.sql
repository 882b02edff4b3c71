-- For how many seconds the oldest transaction that uses a table has been open: an index that is dropped concurrently
-- waits for it. Null where there is none, or our role may not see.
select max(extract(epoch from clock_timestamp() - coalesce(a.xact_start, p.prepared)))::double precision as seconds
from pg_locks as l
left join pg_stat_activity as a on l.pid = a.pid
left join pg_prepared_xacts as p on l.pid is null and l.virtualtransaction = '-1/' || p.transaction::text
where
    l.granted
    and l.locktype = 'relation'
    and l.relation = %(table)s::oid
    and l.database = (select d.oid from pg_database as d where d.datname = current_database())
    and l.pid is distinct from pg_backend_pid()
