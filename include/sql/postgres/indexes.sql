-- Every index of the database's own tables (or of one table), with all that decides whether another one can stand for
-- it. One query, from the catalog alone: sizes are the statistics' pages, no relation is opened.
-- shape: the definition without the index's name; two of one table with equal shapes are the same index twice.
-- held: somebody other than autovacuum holds a lock that building or dropping an index takes.
with held as materialized (
    select l.relation
    from pg_locks as l
    left join pg_stat_activity as a on l.pid = a.pid
    where
        l.granted
        and l.locktype = 'relation'
        and l.database = (select d.oid from pg_database as d where d.datname = current_database())
        and l.pid is distinct from pg_backend_pid()
        and l.mode not in ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock')
        and a.backend_type is distinct from 'autovacuum worker'
)

select
    i.indexrelid::bigint as oid,
    i.indrelid::bigint as table_oid,
    n.nspname::text as schema,
    t.relname::text as "table",
    x.relname::text as name,
    x.relkind = 'I' as is_partitioned,
    x.relispartition as is_child,
    (select h.inhparent::bigint from pg_inherits as h where h.inhrelid = x.oid) as parent_oid,
    am.amname::text as method,
    def.definition,
    substr(
        def.definition,
        length('create ' || case when i.indisunique then 'unique ' else '' end || 'index ' || quote_ident(x.relname))
        + 1
    ) as shape,
    array(
        select
            concat_ws(
                ' ',
                pg_get_indexdef(i.indexrelid, k.place, false),
                i.indclass[k.place - 1],
                i.indcollation[k.place - 1],
                i.indoption[k.place - 1]
            )
        from generate_series(1, i.indnkeyatts::integer) as k (place)
        order by k.place
    ) as keys,
    array(
        select pg_get_indexdef(i.indexrelid, k.place, false)
        from generate_series(i.indnkeyatts + 1, i.indnatts::integer) as k (place)
        order by k.place
    ) as included,
    pg_get_expr(i.indpred, i.indrelid) as predicate,
    i.indexprs is not null as has_expression,
    i.indisunique as is_unique,
    i.indisexclusion as is_exclusion,
    i.indisvalid and i.indisready and i.indislive as is_valid,
    i.indisreplident as is_replica_identity,
    i.indisclustered as is_clustered,
    (
        select min(c.conname::text)
        from pg_constraint as c
        where c.conindid = i.indexrelid and c.contype in ('p', 'u', 'x')
    ) as constraint_name,
    exists(select from pg_constraint as c where c.conindid = i.indexrelid and c.contype = 'f') as is_referenced,
    exists(
        select
        from pg_depend as d
        where d.classid = 'pg_class'::regclass and d.objid = i.indexrelid and d.deptype in ('e', 'x')
    ) as is_of_extension,
    exists(
        select
        from pg_constraint as c
        where
            c.contype = 'f'
            and c.conrelid = i.indrelid
            and i.indnkeyatts >= cardinality(c.conkey)
            and (i.indkey::smallint[])[0:cardinality(c.conkey) - 1] <@ c.conkey
            and (i.indkey::smallint[])[0:cardinality(c.conkey) - 1] @> c.conkey
    ) as serves_foreign_key,
    exists(
        select
        from pg_inherits as h
        inner join pg_index as p on h.inhparent = p.indrelid
        where h.inhrelid = i.indrelid and not p.indisvalid
    ) as parent_awaits,
    i.indrelid in (select h.relation from held as h) or i.indexrelid in (select h.relation from held as h) as is_held,
    pg_get_userbyid(t.relowner)::text as owner,
    coalesce((select o.rolsuper from pg_roles as o where o.oid = t.relowner), false) as owner_is_superuser,
    pg_has_role(t.relowner, 'usage') as may_drop,
    s.spcname::text as tablespace,
    obj_description(i.indexrelid, 'pg_class') as comment,
    x.relpages * current_setting('block_size')::bigint as bytes,
    x.reltuples::double precision as entries,
    pg_stat_get_numscans(i.indexrelid) as scans
from pg_index as i
inner join pg_class as x on i.indexrelid = x.oid
inner join pg_class as t on i.indrelid = t.oid
inner join pg_namespace as n on t.relnamespace = n.oid
inner join pg_am as am on x.relam = am.oid
left join pg_tablespace as s on x.reltablespace = s.oid
cross join lateral pg_get_indexdef(i.indexrelid) as def (definition)
where
    n.nspname !~ '^pg_' and n.nspname != 'information_schema'
    and (%(table)s::oid is null or i.indrelid = %(table)s::oid)
    and not exists (
        select
        from pg_depend as d
        where d.classid = 'pg_class'::regclass and d.objid = t.oid and d.deptype = 'e'
    )
order by i.indexrelid
