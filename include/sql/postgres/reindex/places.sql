-- Where tablespaces lie in the file systems of the server's machine, and a process of it by which to tell whether that
-- is ours; is_default: of what does not say where it lies; null where our role may not know.
select
    t.spcname::text as name,
    coalesce(
        nullif(pg_tablespace_location(t.oid), ''),
        (select s.setting from pg_settings as s where s.name = 'data_directory')
    ) as path,
    pg_backend_pid() as pid,
    t.oid = (select d.dattablespace from pg_database as d where d.datname = current_database()) as is_default
from pg_tablespace as t
where t.spcname != 'pg_global'
