-- The members of the cluster that tell of themselves. A TiDB or PD that is gone has no row; a TiKV or TiFlash has one
-- until it is taken out for good: see stores. Needs PROCESS.
select
    i.type as kind,
    i.instance,
    i.status_address
from information_schema.cluster_info as i
order by i.type, i.instance
limit 1000
