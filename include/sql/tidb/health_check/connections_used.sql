-- Sessions of each TiDB server against what it takes; without a limit it takes whoever comes. Each server has a limit
-- of its own, nobody has a place reserved. Needs PROCESS (the sessions of others) and CONFIG (the limits).
select
    i.instance as subject,
    coalesce(s.used, 0) as used,
    if(cast(c.value as signed) = 0, 'unlimited', c.value) as `limit`,
    cast(if(cast(c.value as signed) = 0, 0, 100 * coalesce(s.used, 0) / cast(c.value as signed)) as double) as value
from information_schema.cluster_info as i
inner join information_schema.cluster_config as c on i.instance = c.instance
left join (
    select
        p.instance,
        count(*) as used
    from information_schema.cluster_processlist as p
    group by p.instance
) as s on i.status_address = s.instance
where i.type = 'tidb' and c.type = 'tidb' and c.`key` = 'instance.max_connections'
order by value desc
limit 100
