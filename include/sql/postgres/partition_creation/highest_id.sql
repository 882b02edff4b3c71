-- Where plain ids stand: the last value of the sequence behind the column (identity, serial, or a nextval default).
select max(pg_sequence_last_value(d.refobjid))::bigint as at
from (
    select d.objid as refobjid
    from pg_depend as d
    inner join pg_attribute as a on d.refobjid = a.attrelid and d.refobjsubid = a.attnum
    where
        d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
        and d.refobjid = %(oid)s::oid and a.attname = %(column)s and d.deptype in ('a', 'i')
    union
    select d.refobjid
    from pg_attrdef as f
    inner join pg_attribute as a on f.adrelid = a.attrelid and f.adnum = a.attnum
    inner join pg_depend as d on d.classid = 'pg_attrdef'::regclass and f.oid = d.objid
    where f.adrelid = %(oid)s::oid and a.attname = %(column)s and d.refclassid = 'pg_class'::regclass
) as d
inner join pg_class as c on d.refobjid = c.oid
where c.relkind = 'S'
