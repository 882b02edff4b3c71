-- What else refuses rows of these tables: checks and foreign keys of their own (a partition's copy of its parent's
-- foreign key is left out).
select
    y.conrelid::bigint as oid,
    y.conname::text as name,
    y.contype::text as kind,
    y.convalidated as valid,
    regexp_replace(pg_get_constraintdef(y.oid), ' NOT VALID$', '') as text,
    array(
        select a.attname::text
        from pg_attribute as a
        where a.attrelid = y.conrelid and a.attnum = any(y.conkey)
        order by a.attname
    ) as columns
from pg_constraint as y
where
    y.conrelid = any(%(oids)s::oid[])
    and y.contype in ('c', 'f')
    and y.conparentid = 0
order by y.conrelid, y.conname
