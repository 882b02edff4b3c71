-- The tables that hold the rows of a detached table, itself or its partitions, with their columns: all of it is about
-- to go, so the owner's own expectations look at all of it.
with recursive members as (
    select %(oid)s::oid as member
    union all
    select i.inhrelid as member
    from members as m
    inner join pg_inherits as i on m.member = i.inhparent
)

select
    c.oid::bigint as oid,
    n.nspname::text as schema,
    c.relname::text as name,
    (
        select
            jsonb_agg(
                jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod)) order by a.attnum
            )
        from pg_attribute as a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ) as columns
from members as m
inner join pg_class as c on m.member = c.oid and c.relkind != 'p'
inner join pg_namespace as n on c.relnamespace = n.oid
order by c.oid
