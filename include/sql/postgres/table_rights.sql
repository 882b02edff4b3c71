-- What our role, and the owner, may do with tables: one row a table, with all its partitions that our role may not
-- read and delete from. Schemas are asked first: who may not use a schema has no use of rights in it.
-- The walk over partitions is that of foreign_below, which says why it is written out.
with recursive members as (
    select
        w.root,
        w.root as member
    from unnest(%(oids)s::oid[]) as w (root)
    union
    select
        m.root,
        i.inhrelid as member
    from members as m
    inner join pg_partitioned_table as k on m.member = k.partrelid
    inner join pg_inherits as i on m.member = i.inhparent
),

parts as (
    select
        m.root,
        m.member,
        n.nspname as schema,
        l.relname as name,
        has_schema_privilege(n.oid, 'usage') as may_enter,
        has_table_privilege(m.member, 'select') as may_select,
        has_table_privilege(m.member, 'delete') as may_delete
    from members as m
    inner join pg_class as l on m.member = l.oid
    inner join pg_namespace as n on l.relnamespace = n.oid
    where m.member != m.root
),

tree as (
    select
        p.root,
        bool_or(row_security_active(p.member)) as hidden,
        coalesce(
            jsonb_agg(
                to_jsonb(p)
                order by p.schema, p.name
            ) filter (where not (p.may_enter and p.may_select and p.may_delete)),
            '[]'
        ) as lacking
    from parts as p
    group by p.root
)

select
    c.oid::bigint as oid,
    n.nspname::text as schema,
    c.relname::text as name,
    pg_has_role(c.relowner, 'member') as is_member,
    has_schema_privilege(n.oid, 'usage') as may_enter,
    has_schema_privilege(c.relowner, n.oid, 'create') as owner_may_create,
    has_table_privilege(c.oid, 'select') as may_select,
    has_table_privilege(c.oid, 'insert') as may_insert,
    has_table_privilege(c.oid, 'delete') as may_delete,
    row_security_active(c.oid) as hidden,
    c.relforcerowsecurity as forced,
    coalesce(t.hidden, false) as partitions_hidden,
    coalesce(t.lacking, '[]') as lacking
from pg_class as c
inner join pg_namespace as n on c.relnamespace = n.oid
left join tree as t on c.oid = t.root
where c.oid = any(%(oids)s::oid[])
