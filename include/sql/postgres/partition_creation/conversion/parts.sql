-- What ATTACH must join, not make anew: indexes (with the file each lives in) and foreign keys, and what each is part
-- of; how many rows this transaction has read of the table by scanning it; and whose partition the table is.
select
    (
        select
            coalesce(json_agg(json_build_object(
                'oid', x.indexrelid::bigint, 'file', pg_relation_filenode(x.indexrelid)::bigint,
                'parent', p.inhparent::bigint
            ) order by x.indexrelid), json_build_array())
        from pg_index as x
        left join pg_inherits as p on x.indexrelid = p.inhrelid
        where x.indrelid = c.oid
    ) as indexes,
    (
        select
            coalesce(json_agg(json_build_object(
                'oid', o.oid::bigint, 'parent', nullif(o.conparentid, 0)::bigint
            ) order by o.oid), json_build_array())
        from pg_constraint as o
        where o.conrelid = c.oid and o.contype = 'f'
    ) as foreign_keys,
    pg_stat_get_xact_tuples_returned(c.oid)::bigint as rows_read,
    (select i.inhparent::bigint from pg_inherits as i where c.oid = i.inhrelid and c.relispartition) as parent
from pg_class as c
where c.oid = %(oid)s::oid
