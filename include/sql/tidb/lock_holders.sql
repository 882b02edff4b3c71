-- The oldest open transactions of others that have touched one of those tables: a lock or a schema change waits for
-- them. No text of a query.
select
    x.session_id as connection,
    x.user as `user`,
    p.host,
    x.start_time as since
from information_schema.cluster_tidb_trx as x
left join information_schema.cluster_processlist as p on x.session_id = p.id
where ({touches}) and x.session_id <> connection_id()
order by x.start_time
limit 3
