-- The TiDB servers of the cluster and since when they run: their counters are lost when they end. Needs PROCESS.
select
    c.status_address as instance,
    c.start_time as started
from information_schema.cluster_info as c
where c.type = 'tidb'
order by c.status_address
