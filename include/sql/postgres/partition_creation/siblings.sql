-- How the newest partitions are made, so that the next one is made alike: settings that neither LIKE nor ATTACH copies.
select
    c.oid::bigint as oid,
    m.amname::text as access_method,
    c.relpersistence::text as persistence,
    pg_get_userbyid(c.relowner)::text as owner,
    coalesce(c.reloptions, array[]::text[]) as options,
    coalesce(o.reloptions, array[]::text[]) as toast_options,
    s.spcname::text as tablespace,
    c.relreplident::text as replica_identity,
    (
        select coalesce(pg_partition_root(x.indexrelid), x.indexrelid)::bigint
        from pg_index as x
        where x.indrelid = c.oid and x.indisreplident
    ) as replica_index,
    c.relrowsecurity as row_security,
    c.relforcerowsecurity as force_row_security,
    (
        select
            coalesce(json_agg(json_build_object(
                'column', g.attname, 'role', r.rolname, 'privilege', g.privilege_type, 'grantable', g.is_grantable
            ) order by g.attname nulls first, r.rolname nulls first, g.privilege_type), json_build_array())
        from (
            select null::name as attname, e.grantee, e.privilege_type, e.is_grantable
            from aclexplode(c.relacl) as e
            union all
            select a.attname, e.grantee, e.privilege_type, e.is_grantable
            from pg_attribute as a
            cross join lateral aclexplode(a.attacl) as e
            where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        ) as g
        left join pg_roles as r on g.grantee = r.oid
        where g.grantee != c.relowner
    ) as grants,
    (
        select coalesce(json_object_agg(a.attname, a.attstattarget order by a.attnum), json_build_object())
        from pg_attribute as a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attstattarget >= 0
    ) as statistics_targets,
    array(
        select
            substr(
                pg_get_indexdef(x.indexrelid),
                length(format(
                    'CREATE INDEX %%I ON %%I.%%I ', k.relname, n.nspname, c.relname
                )) + 1
            )
        from pg_index as x
        inner join pg_class as k on x.indexrelid = k.oid
        where
            x.indrelid = c.oid and c.relkind = 'r' and x.indisvalid and not x.indisunique
            and not exists (select from pg_inherits as i where i.inhrelid = x.indexrelid)
        order by k.relname
    ) as own_indexes,
    array(
        select t.tgname::text from pg_trigger as t
        where t.tgrelid = c.oid and not t.tgisinternal and t.tgparentid = 0 and c.relkind = 'r'
    ) as own_triggers,
    array(select p.polname::text from pg_policy as p where p.polrelid = c.oid) as policies,
    array(
        select b.pubname::text
        from pg_publication_rel as r
        inner join pg_publication as b on r.prpubid = b.oid
        where r.prrelid = c.oid and c.relkind = 'r'
    ) as publications
from pg_class as c
inner join pg_namespace as n on c.relnamespace = n.oid
left join pg_class as o on c.reltoastrelid = o.oid
left join pg_am as m on c.relam = m.oid
left join pg_tablespace as s on c.reltablespace = s.oid
where c.oid = any(%(oids)s::oid[])
