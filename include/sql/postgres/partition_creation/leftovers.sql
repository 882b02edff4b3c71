-- What a killed run left half made for one parent, by its comment: tables (and whether somebody attached one since)
-- and constraints on its default partition.
select
    d.classoid = 'pg_class'::regclass as is_table,
    coalesce(c.oid, t.oid)::bigint as oid,
    n.nspname::text as schema,
    coalesce(c.relname, t.relname)::text as name,
    x.conname::text as constraint_name,
    coalesce(c.relispartition, false) as attached,
    d.description as marker
from pg_description as d
left join pg_class as c on d.classoid = 'pg_class'::regclass and d.objoid = c.oid
left join pg_constraint as x on d.classoid = 'pg_constraint'::regclass and d.objoid = x.oid
left join pg_class as t on x.conrelid = t.oid
inner join pg_namespace as n on coalesce(c.relnamespace, t.relnamespace) = n.oid
where
    d.objsubid = 0
    and d.classoid in ('pg_class'::regclass, 'pg_constraint'::regclass)
    and d.description like %(prefix)s || '%%'
order by d.classoid, d.objoid
