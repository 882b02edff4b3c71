-- What a deletion from these tables would meet, for each table together with all its partitions: columns, foreign
-- keys that refer to them, triggers and rules that would fire, row-level security, privileges, publications.
-- One query for the whole database.
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

published as materialized (
    select
        p.pubname::text as publication,
        g.relid
    from pg_publication as p
    cross join lateral pg_get_publication_tables(p.pubname) as g
    where p.pubdelete
)

select
    c.oid::bigint as oid,
    c.relpersistence::text as persistence,
    (
        select
            jsonb_agg(
                jsonb_build_object(
                    'name', a.attname,
                    'type', format_type(a.atttypid, a.atttypmod),
                    'base', coalesce(b.typname, y.typname),
                    'not_null', a.attnotnull,
                    'default', a.atthasdef,
                    'identity', a.attidentity,
                    'generated', a.attgenerated
                )
                order by a.attnum
            )
        from pg_attribute as a
        inner join pg_type as y on a.atttypid = y.oid
        left join pg_type as b on y.typbasetype = b.oid
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ) as columns,
    coalesce((
        select
            jsonb_agg(
                jsonb_build_object(
                    'name', f.conname,
                    'oid', f.conrelid::bigint,
                    'schema', rn.nspname,
                    'table', r.relname,
                    'on', f.confrelid::bigint,
                    'on_delete', f.confdeltype,
                    'columns', (
                        select jsonb_agg(a.attname order by k.place)
                        from unnest(f.conkey) with ordinality as k (number, place)
                        inner join pg_attribute as a on f.conrelid = a.attrelid and k.number = a.attnum
                    ),
                    'referenced', (
                        select jsonb_agg(a.attname order by k.place)
                        from unnest(f.confkey) with ordinality as k (number, place)
                        inner join pg_attribute as a on f.confrelid = a.attrelid and k.number = a.attnum
                    ),
                    'indexed', exists (
                        select
                        from pg_index as x
                        where
                            x.indrelid = f.conrelid and x.indisvalid and x.indpred is null
                            and x.indkey[0] = any(f.conkey)
                    )
                )
                order by f.conname
            )
        from pg_constraint as f
        inner join pg_class as r on f.conrelid = r.oid
        inner join pg_namespace as rn on r.relnamespace = rn.oid
        where f.contype = 'f' and f.conparentid = 0 and f.confrelid = any(m.members)
    ), '[]') as referenced_by,
    array(
        select distinct t.tgname::text
        from pg_trigger as t
        where t.tgrelid = any(m.members) and not t.tgisinternal and t.tgenabled in ('O', 'A') and t.tgtype & 8 != 0
    ) as delete_triggers,
    array(
        select distinct t.tgname::text
        from pg_trigger as t
        where t.tgrelid = any(m.members) and not t.tgisinternal and t.tgenabled in ('O', 'A') and t.tgtype & 4 != 0
    ) as insert_triggers,
    array(
        select distinct r.rulename::text
        from pg_rewrite as r
        where r.ev_class = any(m.members) and r.ev_type = '4' and r.ev_enabled in ('O', 'A')
    ) as delete_rules,
    array(
        select distinct r.rulename::text
        from pg_rewrite as r
        where r.ev_class = any(m.members) and r.ev_type = '3' and r.ev_enabled in ('O', 'A')
    ) as insert_rules,
    (select bool_or(row_security_active(x.member)) from unnest(m.members) as x (member)) as security_active,
    (
        select bool_and(has_schema_privilege(l.relnamespace, 'usage') and has_table_privilege(x.member, 'select'))
        from unnest(m.members) as x (member)
        inner join pg_class as l on x.member = l.oid
    ) as may_select,
    (
        select bool_and(has_table_privilege(x.member, 'select') and has_table_privilege(x.member, 'delete'))
        from unnest(m.members) as x (member)
    ) as may_delete,
    has_table_privilege(c.oid, 'insert') and has_table_privilege(c.oid, 'select') as may_insert,
    array(
        select distinct p.publication
        from published as p
        where p.relid = any(m.members)
    ) as publications,
    exists(
        select
        from unnest(m.members) as x (member)
        inner join pg_class as l on x.member = l.oid
        where
            l.relkind = 'r' and (
                l.relreplident = 'n'
                or (
                    l.relreplident = 'd'
                    and not exists (select from pg_index as i where i.indrelid = l.oid and i.indisprimary)
                )
            )
    ) as without_identity,
    c.relkind = 'r' and exists (
        select from pg_inherits as i where i.inhparent = c.oid
    ) as has_children,
    (select array_agg(x.member::bigint) from unnest(m.members) as x (member)) as members
from pg_class as c
inner join (
    select
        o.root,
        array_agg(o.member) as members
    from members as o
    group by o.root
) as m on c.oid = m.root
