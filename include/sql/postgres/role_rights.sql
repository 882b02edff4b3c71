-- What our role may see of the server as a whole: one row.
select
    r.rolsuper as is_superuser,
    pg_has_role('pg_read_all_stats', 'usage') as sees_sessions,
    pg_has_role('pg_read_all_settings', 'usage') as sees_settings,
    current_setting('archive_mode') = 'off'
    or has_function_privilege('pg_catalog.pg_ls_archive_statusdir()', 'execute') as sees_archiver,
    (
        select bool_and(has_function_privilege(p.oid, 'execute'))
        from pg_extension as e
        inner join pg_depend as d on e.oid = d.refobjid and d.refclassid = 'pg_extension'::regclass and d.deptype = 'e'
        inner join pg_proc as p on d.objid = p.oid and d.classid = 'pg_proc'::regclass
        where e.extname = 'pgstattuple' and p.proname = 'pgstatindex'
    ) as measures_air
from pg_roles as r
where r.rolname = current_user
