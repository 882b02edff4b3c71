-- The longest open transaction on any server of the cluster; old versions of rows stay as long as it runs.
select max(timestampdiff(second, x.start_time, now(6))) as longest
from information_schema.cluster_tidb_trx as x
