-- The publications that publish a table: by its name, with which columns and filter, or with all tables or its schema.
-- Apart from the other facts, because the server's view looks at every table that is published.
select
    c.oid::bigint as oid,
    b.pubname::text as name,
    b.pubviaroot as via_root,
    r.oid is not null as named,
    pg_get_userbyid(b.pubowner)::text as owner,
    coalesce((select o.rolsuper from pg_roles as o where o.oid = b.pubowner), false) as owner_is_superuser,
    pg_has_role(b.pubowner, 'usage') as may_alter,
    case
        when jsonb_typeof(to_jsonb(r) -> 'prattrs') = 'array' then array(
            select a.attname::text
            from jsonb_array_elements_text(to_jsonb(r) -> 'prattrs') with ordinality as u (number, place)
            inner join pg_attribute as a on a.attrelid = c.oid and u.number::smallint = a.attnum
            order by u.place
        )
    end as columns,
    to_jsonb(v) ->> 'rowfilter' as filter
from pg_class as c
inner join pg_namespace as n on c.relnamespace = n.oid
cross join pg_publication as b
left join pg_publication_rel as r on b.oid = r.prpubid and c.oid = r.prrelid
left join pg_publication_tables as v
    on b.pubname = v.pubname and n.nspname = v.schemaname and c.relname = v.tablename
where c.oid = any(%(oids)s::oid[]) and (r.oid is not null or v.pubname is not null)
order by c.oid, b.pubname
