-- What our role, and the owner, may do with tables: one row a table. Schemas are asked first: who may not use a
-- schema has no use of rights in it.
select
    c.oid::bigint as oid,
    pg_has_role(c.relowner, 'member') as is_member,
    has_schema_privilege(n.oid, 'usage') as may_enter,
    has_schema_privilege(c.relowner, n.oid, 'create') as owner_may_create,
    has_table_privilege(c.oid, 'select') as may_select,
    has_table_privilege(c.oid, 'insert') as may_insert,
    has_table_privilege(c.oid, 'delete') as may_delete,
    row_security_active(c.oid) as hidden,
    c.relforcerowsecurity as forced
from pg_class as c
inner join pg_namespace as n on c.relnamespace = n.oid
where c.oid = any(%(oids)s::oid[])
