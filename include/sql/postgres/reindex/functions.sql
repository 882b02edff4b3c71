-- Functions of extensions that may be there, and whether our role may call them: two rows at most.
select
    p.proname::text as name,
    n.nspname::text as schema,
    has_function_privilege(p.oid, 'execute') as may_call
from pg_extension as e
inner join pg_depend as d on e.oid = d.refobjid and d.refclassid = 'pg_extension'::regclass and d.deptype = 'e'
inner join pg_proc as p on d.objid = p.oid and d.classid = 'pg_proc'::regclass
inner join pg_namespace as n on p.pronamespace = n.oid
where
    (e.extname = 'pgstattuple' and p.proname = 'pgstatindex' and p.proargtypes[0] = 'regclass'::regtype)
    or (
        e.extname = 'amcheck' and p.proname = 'bt_index_check'
        and p.proargtypes[1] = 'boolean'::regtype and p.pronargs = 2
    )
