-- What keeps two rows with equal keys out of these tables (unique indexes, exclusion constraints), each key column
-- with what it calls equal: the operator, and a collation that takes different texts for equal.
-- An index that is no longer or not yet valid refuses rows all the same.
select
    c.oid::bigint as oid,
    k.relname::text as name,
    x.indisexclusion as excludes,
    x.indisvalid as valid,
    pg_get_expr(x.indpred, x.indrelid) as predicate,
    coalesce((to_jsonb(x) ->> 'indnullsnotdistinct')::boolean, false) as nulls_equal,
    (
        select
            jsonb_agg(
                jsonb_build_object(
                    'text', pg_get_indexdef(x.indexrelid, e.place::int, true),
                    'column', a.attname,
                    'operator', coalesce(
                        y.conexclop[e.place::int]::regoperator::text,
                        (
                            select o.amopopr::regoperator::text
                            from pg_amop as o
                            where
                                o.amopfamily = oc.opcfamily and o.amopstrategy = 3
                                and o.amoplefttype = oc.opcintype and o.amoprighttype = oc.opcintype
                        )
                    ),
                    'equals', not x.indisexclusion or exists (
                        select
                        from pg_amop as o
                        inner join pg_opfamily as f on o.amopfamily = f.oid
                        inner join pg_am as m on f.opfmethod = m.oid
                        where o.amopopr = y.conexclop[e.place::int] and m.amname = 'btree' and o.amopstrategy = 3
                    ),
                    'usual', oc.opcdefault,
                    'folds', case when not co.collisdeterministic then co.collname end
                )
                order by e.place
            )
        from
            unnest(x.indkey::smallint[], x.indclass::oid[], x.indcollation::oid[])
            with ordinality as e (number, opclass, collated, place)
        inner join pg_opclass as oc on e.opclass = oc.oid
        left join pg_collation as co on e.collated = co.oid
        left join pg_attribute as a on x.indrelid = a.attrelid and e.number = a.attnum and e.number > 0
        where e.place <= x.indnkeyatts
    ) as elements
from pg_index as x
inner join pg_class as c on x.indrelid = c.oid
inner join pg_class as k on x.indexrelid = k.oid
left join pg_constraint as y on x.indexrelid = y.conindid and y.contype = 'x'
where
    x.indrelid = any(%(oids)s::oid[])
    and (x.indisunique or x.indisexclusion)
    and x.indisready
    and not exists (select from pg_inherits as i where i.inhrelid = x.indexrelid)
order by c.oid, k.relname
