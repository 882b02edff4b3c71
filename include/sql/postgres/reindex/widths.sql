-- What the size of a B-tree without any air can be estimated from: the statistics of its columns, in their order; null
-- where there are none, or our role may not see them. dedupes: equal keys are kept once, with many rows each. varies:
-- not all keys are equally wide.
select
    i.indexrelid::bigint as oid,
    coalesce(
        (
            select o.option_value::integer
            from pg_options_to_table(x.reloptions) as o
            where o.option_name = 'fillfactor'
        ),
        90
    ) as fillfactor,
    (
        i.indnatts = 1
        and not i.indisunique
        and not exists (
            select
            from pg_options_to_table(x.reloptions) as o
            where o.option_name = 'deduplicate_items' and not o.option_value::boolean
        )
        and exists (
            select
            from pg_opclass as oc
            inner join pg_amproc as ap
                on oc.opcfamily = ap.amprocfamily and oc.opcintype = ap.amproclefttype and ap.amprocnum = 4
            where oc.oid = i.indclass[0]
        )
        and not exists (
            select
            from pg_collation as c
            where c.oid = i.indcollation[0] and not c.collisdeterministic
        )
    ) as dedupes,
    w.varies,
    w.widths,
    w.null_shares,
    w.distinct_keys
from pg_index as i
inner join pg_class as x on i.indexrelid = x.oid
inner join pg_class as t on i.indrelid = t.oid
inner join pg_namespace as n on t.relnamespace = n.oid
inner join pg_am as am on x.relam = am.oid
cross join
    lateral (
        select
            bool_or(a.attlen < 0) as varies,
            array_agg(s.avg_width::integer order by a.attnum) as widths,
            array_agg(s.null_frac::double precision order by a.attnum) as null_shares,
            array_agg(s.n_distinct::double precision order by a.attnum) as distinct_keys
        from pg_attribute as a
        left join pg_attribute as k on t.oid = k.attrelid and i.indkey[a.attnum - 1] = k.attnum
        left join pg_stats as s
            on
                n.nspname = s.schemaname
                and s.tablename = case when k.attnum is null then x.relname else t.relname end
                and s.attname = coalesce(k.attname, a.attname)
                and not s.inherited
        where a.attrelid = i.indexrelid and a.attnum > 0
    ) as w
where i.indexrelid = any(%(indexes)s::oid[]) and am.amname = 'btree'
