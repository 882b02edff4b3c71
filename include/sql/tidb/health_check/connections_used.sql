-- Sessions of each TiDB server against what it takes; without a limit it takes whoever comes. Each server has a limit
-- of its own, nobody has a place reserved. Needs PROCESS (the sessions of others) and CONFIG (the limits).
select
    i.instance as subject,
    coalesce(s.used, 0) as used,
    if(c.value = '0', 'unlimited', c.value) as `limit`,
    if(c.value is null, 'the server does not tell its limit', '') as why,
    cast(if(c.value = '0', 0, 100 * coalesce(s.used, 0) / cast(c.value as signed)) as double) as value
from information_schema.cluster_info as i
left join information_schema.cluster_config as c
    on i.instance = c.instance and c.type = 'tidb' and c.`key` = 'instance.max_connections'
left join (
    select
        p.instance,
        count(*) as used
    from information_schema.cluster_processlist as p
    group by p.instance
) as s on i.status_address = s.instance
where i.type = 'tidb'
order by value desc
limit 100
