-- How full the disks are on the hosts of all members, where rows can be written at all. Images and boot partitions are
-- always full. Needs CONFIG.
select
    concat(d.type, ' ', d.instance, ' ', d.path) as subject,
    d.free as free_bytes,
    cast(100 * (1 - d.free / (coalesce(d.used, d.total - d.free) + d.free)) as double) as value
from (
    select
        h.type,
        h.instance,
        h.device_name,
        max(if(h.name = 'path', h.value, null)) as path,
        max(if(h.name = 'fstype', h.value, null)) as kind,
        max(if(h.name = 'opts', h.value, null)) as options,
        cast(max(if(h.name = 'total', h.value, null)) as signed) as total,
        cast(max(if(h.name = 'free', h.value, null)) as signed) as free,
        cast(max(if(h.name = 'used', h.value, null)) as signed) as used
    from information_schema.cluster_hardware as h
    where h.device_type = 'disk'
    group by h.type, h.instance, h.device_name
) as d
where
    d.total > 0
    and coalesce(d.options, 'rw') regexp '(^|,)rw(,|$)'
    and coalesce(d.kind, '') not in ('squashfs', 'overlay', 'tmpfs', 'devtmpfs', 'vfat', 'iso9660')
    and d.path not like '/boot%'
order by value desc
limit 100
