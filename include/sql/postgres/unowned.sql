-- The owners whose rights our role has not, of tables with indexes that jobs may care for: those of `indexes`.
select
    pg_get_userbyid(t.relowner)::text as owner,
    coalesce((select r.rolsuper from pg_roles as r where r.oid = t.relowner), false) as is_superuser,
    jsonb_agg(jsonb_build_array(n.nspname, t.relname) order by n.nspname, t.relname) as names
from pg_class as t
inner join pg_namespace as n on t.relnamespace = n.oid
where
    not pg_has_role(t.relowner, 'usage')
    and n.nspname !~ '^pg_' and n.nspname != 'information_schema'
    and exists (select from pg_index as i where i.indrelid = t.oid)
    and not exists (
        select
        from pg_depend as d
        where d.classid = 'pg_class'::regclass and d.objid = t.oid and d.deptype = 'e'
    )
group by t.relowner
order by pg_get_userbyid(t.relowner)
