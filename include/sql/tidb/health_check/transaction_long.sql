-- The oldest open transaction of each user and database. Sessions of the server itself have no user. Needs PROCESS.
select
    concat(x.user, '@', coalesce(nullif(x.db, ''), '(no database)')) as subject,
    count(*) as transactions,
    cast(max(timestampdiff(second, x.start_time, now(6))) as double) as value
from information_schema.cluster_tidb_trx as x
where x.user <> '' and x.session_id <> connection_id()
group by subject
order by value desc
limit 20
