-- Memory of each TiDB server against tidb_server_memory_limit, from which on it ends statements; where that is off,
-- against what its host or container has, from which on it is killed.
select
    m.instance as subject,
    m.memory_current as used_bytes,
    coalesce(nullif(m.memory_limit, 0), m.memory_total) as limit_bytes,
    if(m.memory_limit = 0, 'the memory of its host', 'tidb_server_memory_limit') as `limit`,
    cast(100 * m.memory_current / greatest(coalesce(nullif(m.memory_limit, 0), m.memory_total), 1) as double) as value
from information_schema.cluster_memory_usage as m
order by value desc
limit 100
