-- Tables and sequences that this role cannot dump: no right to read them, no right in their schema, or row-level
-- security that would hide rows from it (a dump of a part would look like one of all).
select
    n.nspname::text as schema,
    c.relname::text as name,
    case
        when not has_schema_privilege(n.oid, 'usage') then 'schema'
        when c.relkind = 'S' and not has_sequence_privilege(c.oid, 'select') then 'select'
        when c.relkind != 'S' and not has_table_privilege(c.oid, 'select') then 'select'
        else 'row_security'
    end as why
from pg_class as c
inner join pg_namespace as n on c.relnamespace = n.oid
where
    c.relkind in ('r', 'p', 'S')
    and n.nspname !~ '^pg_' and n.nspname != 'information_schema'
    and not exists (
        select from pg_depend as d
        where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
    and (
        not has_schema_privilege(n.oid, 'usage')
        or case
            when c.relkind = 'S' then not has_sequence_privilege(c.oid, 'select')
            else not has_table_privilege(c.oid, 'select')
        end
        or (c.relrowsecurity and row_security_active(c.oid))
    )
order by 1, 2
limit 100
