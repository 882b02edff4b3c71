-- What a server must have for a restore: extensions, roles that own or may do something, the locale of the database;
-- and the foreign servers, which a proof must never reach.
select
    (
        select coalesce(jsonb_object_agg(e.extname, e.extversion), '{{}}') from pg_extension as e
        where e.extname != 'plpgsql'
    ) as extensions,
    array(
        select distinct r.rolname::text
        from pg_shdepend as s
        inner join pg_roles as r on s.refobjid = r.oid
        where
            s.refclassid = 'pg_authid'::regclass
            and s.dbid = (select d.oid from pg_database as d where d.datname = current_database())
        union
        select pg_get_userbyid(c.relowner)::text from pg_class as c where c.relkind in ('r', 'p', 'v', 'm', 'S')
        order by 1
    ) as roles,
    array(select f.srvname::text from pg_foreign_server as f order by 1) as servers,
    (
        select
            jsonb_build_object(
                'encoding', pg_encoding_to_char(d.encoding),
                'collate', d.datcollate,
                'ctype', d.datctype,
                'provider', coalesce(to_jsonb(d) ->> 'datlocprovider', 'c'),
                'locale', coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale')
            )
        from pg_database as d where d.datname = current_database()
    ) as locale
