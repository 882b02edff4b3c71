-- Sessions that have a transaction open and send nothing, by user and database. Needs PROCESS.
select
    concat(x.user, '@', coalesce(nullif(x.db, ''), '(no database)')) as subject,
    count(*) as sessions,
    cast(max(p.time) as double) as value
from information_schema.cluster_tidb_trx as x
inner join information_schema.cluster_processlist as p on x.session_id = p.id
where x.user <> '' and p.command = 'Sleep' and x.session_id <> connection_id()
group by subject
order by value desc
limit 20
