-- Every table that a policy names, or that a glob matches, with what jobs must know of it before they plan:
-- one query for the whole database. A glob never means a partition: partitions are their parent's affair; nor a
-- table with our own marker: a detached partition is kept for its grace, whatever its rows are due for.
with chosen as (
    select c.oid
    from unnest(%(schemas)s::text[], %(names)s::text[]) as w (schema, name)
    inner join pg_namespace as n on w.schema::name = n.nspname
    inner join pg_class as c on n.oid = c.relnamespace and w.name::name = c.relname
    union
    select c.oid
    from unnest(%(schema_globs)s::text[], %(name_globs)s::text[]) as g (schema, name)
    inner join pg_namespace as n on n.nspname like g.schema
    inner join pg_class as c on n.oid = c.relnamespace and c.relname like g.name
    where
        not c.relispartition and c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname != 'information_schema'
        and coalesce(obj_description(c.oid, 'pg_class'), '') !~ '^upkeep: (half made )?[{{]'
),

published as materialized (
    select distinct
        b.pubname::text as publication,
        coalesce(pg_partition_root(g.relid), g.relid) as root
    from pg_publication as b
    cross join lateral pg_get_publication_tables(b.pubname) as g
)

select
    c.oid::bigint as oid,
    n.nspname::text as schema,
    c.relname::text as name,
    c.relkind::text as kind,
    c.relpersistence::text as persistence,
    c.relispartition as is_partition,
    c.reltuples::double precision as rows,
    c.relpages as pages,
    c.relreplident::text as replica_identity,
    c.relrowsecurity as row_security,
    pg_get_userbyid(c.relowner)::text as owner,
    coalesce((select r.rolsuper from pg_roles as r where r.oid = c.relowner), false) as owner_is_superuser,
    pg_has_role(c.relowner, 'usage') as may_alter,
    has_schema_privilege(n.oid, 'create') as may_create,
    p.partstrat::text as strategy,
    nullif(p.partdefid, 0)::bigint as default_oid,
    p.partexprs is not null as key_has_expression,
    array(
        select a.attname::text
        from unnest(p.partattrs::smallint[]) with ordinality as k (number, place)
        left join pg_attribute as a on c.oid = a.attrelid and k.number = a.attnum and a.attnum > 0
        order by k.place
    ) as key_columns,
    array(
        select coalesce(b.typname, t.typname)::text
        from unnest(p.partattrs::smallint[]) with ordinality as k (number, place)
        left join pg_attribute as a on c.oid = a.attrelid and k.number = a.attnum and a.attnum > 0
        left join pg_type as t on a.atttypid = t.oid
        left join pg_type as b on t.typbasetype = b.oid
        order by k.place
    ) as key_types,
    array(
        select
            x.conname::text || ' (' || (
                select string_agg(quote_ident(a.attname), ', ' order by k.place)
                from unnest(x.conkey) with ordinality as k (number, place)
                inner join pg_attribute as a on x.conrelid = a.attrelid and k.number = a.attnum
            ) || ')'
        from pg_constraint as x
        where x.conrelid = c.oid and x.contype in ('p', 'u')
        order by x.conname
    ) as unique_keys,
    array(
        select distinct x.conrelid::regclass::text
        from pg_constraint as x
        where x.confrelid = c.oid and x.contype = 'f' and x.conparentid = 0
    ) as referenced_by,
    array(
        select t.tgname::text
        from pg_trigger as t
        where t.tgrelid = c.oid and not t.tgisinternal and t.tgenabled != 'D'
    ) as triggers,
    array(select r.rulename::text from pg_rewrite as r where r.ev_class = c.oid and r.ev_type != '1') as rules,
    array(select x.publication from published as x where x.root = c.oid order by x.publication) as publications
from chosen
inner join pg_class as c on chosen.oid = c.oid
inner join pg_namespace as n on c.relnamespace = n.oid
left join pg_partitioned_table as p on c.oid = p.partrelid
