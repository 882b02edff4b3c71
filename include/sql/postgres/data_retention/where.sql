-- Where one table is now, by its object id: names change, and may be taken by another table.
select
    n.nspname::text as schema,
    c.relname::text as name,
    c.relkind::text as kind,
    c.relispartition as is_partition,
    i.inhparent::bigint as parent,
    pn.nspname::text as parent_schema,
    p.relname::text as parent_name,
    coalesce(i.inhdetachpending, false) as detach_pending,
    pg_get_expr(c.relpartbound, c.oid) as bounds,
    nullif(k.partdefid, 0)::bigint as default_oid,
    obj_description(c.oid, 'pg_class') as comment,
    exists(
        select from pg_inherits as o where o.inhparent = i.inhparent and o.inhdetachpending and o.inhrelid != c.oid
    ) as sibling_pending
from pg_class as c
inner join pg_namespace as n on c.relnamespace = n.oid
left join pg_inherits as i on c.oid = i.inhrelid and c.relispartition
left join pg_class as p on i.inhparent = p.oid
left join pg_namespace as pn on p.relnamespace = pn.oid
left join pg_partitioned_table as k on p.oid = k.partrelid
where c.oid = %(oid)s
