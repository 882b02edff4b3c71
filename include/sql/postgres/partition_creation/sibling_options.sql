-- How the newest siblings of partitions are stored, and what their parent says of that: the settings of one alone are
-- told from what is usual there.
select
    w.oid::bigint as model,
    c.oid::bigint as oid,
    n.nspname::text as schema,
    c.relname::text as name,
    coalesce(c.reloptions, array[]::text[]) as options,
    coalesce(o.reloptions, array[]::text[]) as toast_options,
    m.amname::text as access_method,
    s.spcname::text as tablespace,
    pm.amname::text as parent_method,
    ps.spcname::text as parent_tablespace
from unnest(%(oids)s::oid[]) as w (oid)
inner join pg_inherits as i on w.oid = i.inhrelid
inner join pg_class as p on i.inhparent = p.oid
inner join pg_class as k on w.oid = k.oid
cross join
    lateral (
        select b.inhrelid
        from pg_inherits as b
        inner join pg_class as x on b.inhrelid = x.oid
        inner join pg_partitioned_table as t on b.inhparent = t.partrelid
        where b.inhparent = i.inhparent and x.relkind = k.relkind and b.inhrelid != t.partdefid
        order by b.inhrelid desc
        limit %(most)s
    ) as near
inner join pg_class as c on near.inhrelid = c.oid
inner join pg_namespace as n on c.relnamespace = n.oid
left join pg_class as o on c.reltoastrelid = o.oid
left join pg_am as m on c.relam = m.oid
left join pg_tablespace as s on c.reltablespace = s.oid
left join pg_am as pm on p.relam = pm.oid
left join pg_tablespace as ps on p.reltablespace = ps.oid
order by w.oid, c.oid
