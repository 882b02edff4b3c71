-- Everything a plain table carries that its conversion into a partitioned one must carry over, or that forbids it: one
-- row a table, plain or partitioned. Read again before the conversion: what differs from the plan stops it; and of the
-- partitioned table after it: what that lacks rolls it back. Our own CHECK is left out.
select
    c.oid::bigint as oid,
    n.nspname::text as schema,
    c.relname::text as name,
    c.relkind::text as kind,
    c.relispartition as is_partition,
    c.relpersistence::text as persistence,
    pg_get_userbyid(c.relowner)::text as owner,
    current_user::text as role,
    has_schema_privilege(c.relowner, n.oid, 'create') as owner_may_create,
    s.spcname::text as tablespace,
    c.reloftype != 0 as is_typed,
    c.relrowsecurity as row_security,
    c.relforcerowsecurity as force_row_security,
    c.relreplident::text as replica_identity,
    (
        select k.relname::text from pg_index as x inner join pg_class as k on x.indexrelid = k.oid
        where x.indrelid = c.oid and x.indisreplident
    ) as replica_index,
    obj_description(c.oid, 'pg_class') as comment,
    (
        select count(*) > 0 from pg_depend as d
        where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.objsubid = 0 and d.deptype = 'e'
    ) as of_extension,
    (
        select count(*) > 0 from pg_seclabel as l where l.classoid = 'pg_class'::regclass and l.objoid = c.oid
    ) as has_labels,
    array(
        select i.inhrelid::regclass::text from pg_inherits as i where i.inhparent = c.oid order by i.inhrelid
    ) as children,
    array(
        select i.inhparent::regclass::text from pg_inherits as i where i.inhrelid = c.oid order by i.inhparent
    ) as parents,
    array(
        select r.rulename::text from pg_rewrite as r where r.ev_class = c.oid and r.ev_type != '1' order by r.rulename
    ) as rules,
    array(
        select b.subname::text from pg_subscription_rel as r inner join pg_subscription as b on r.srsubid = b.oid
        where r.srrelid = c.oid
        order by b.subname
    ) as subscriptions,
    (
        select
            coalesce(json_agg(json_build_object(
                'name', a.attname, 'type', coalesce(b.typname, t.typname), 'not_null', a.attnotnull,
                'identity', a.attidentity, 'generated', a.attgenerated,
                'target', nullif(a.attstattarget, -1), 'comment', col_description(c.oid, a.attnum),
                'options', array(
                    select o.option from unnest(a.attoptions) as o (option) where o.option like 'n\_distinct%%'
                )
            ) order by a.attnum), json_build_array())
        from pg_attribute as a
        inner join pg_type as t on a.atttypid = t.oid
        left join pg_type as b on t.typbasetype = b.oid
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ) as columns,
    (
        select
            coalesce(json_agg(json_build_object(
                'column', a.attname, 'kind', a.attidentity, 'schema', sn.nspname, 'name', q.relname,
                'start', e.seqstart, 'increment', e.seqincrement, 'minimum', e.seqmin, 'maximum', e.seqmax,
                'cache', e.seqcache, 'cycle', e.seqcycle, 'comment', obj_description(q.oid, 'pg_class'),
                'grants', (
                    select
                        coalesce(json_agg(json_build_object(
                            'role', r.rolname, 'privilege', g.privilege_type, 'grantable', g.is_grantable
                        ) order by r.rolname nulls first, g.privilege_type), json_build_array())
                    from aclexplode(coalesce(q.relacl, acldefault('s', q.relowner))) as g
                    left join pg_roles as r on g.grantee = r.oid
                )
            ) order by a.attnum), json_build_array())
        from pg_attribute as a
        inner join pg_depend as d on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
        inner join pg_class as q on d.objid = q.oid and q.relkind = 'S'
        inner join pg_namespace as sn on q.relnamespace = sn.oid
        inner join pg_sequence as e on q.oid = e.seqrelid
        where
            a.attrelid = c.oid and a.attidentity != '' and d.deptype = 'i'
            and d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
    ) as identities,
    (
        select
            coalesce(json_agg(json_build_object(
                'column', a.attname, 'schema', sn.nspname, 'name', q.relname
            ) order by sn.nspname, q.relname), json_build_array())
        from pg_attribute as a
        inner join pg_depend as d on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
        inner join pg_class as q on d.objid = q.oid and q.relkind = 'S'
        inner join pg_namespace as sn on q.relnamespace = sn.oid
        where
            a.attrelid = c.oid and d.deptype = 'a'
            and d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
    ) as serials,
    (
        select
            coalesce(json_agg(json_build_object(
                'oid', x.indexrelid::bigint, 'name', k.relname, 'unique', x.indisunique,
                'exclusion', x.indisexclusion, 'valid', x.indisvalid and x.indisready and x.indislive,
                'columns', (
                    select json_agg(a.attname order by p.place)
                    from unnest(x.indkey::smallint[]) with ordinality as p (number, place)
                    left join pg_attribute as a on a.attrelid = c.oid and p.number = a.attnum and a.attnum > 0
                    where p.place <= x.indnkeyatts
                ),
                'rest', substr(
                    pg_get_indexdef(x.indexrelid),
                    length(format(
                        'CREATE %%sINDEX %%I ON %%s%%I.%%I ',
                        case when x.indisunique then 'UNIQUE ' else '' end, k.relname,
                        case when c.relkind = 'p' then 'ONLY ' else '' end, n.nspname, c.relname
                    )) + 1
                ),
                'options', coalesce(k.reloptions, array[]::text[]), 'tablespace', ks.spcname,
                'comment', obj_description(k.oid, 'pg_class'),
                'constraint', o.contype, 'definition', pg_get_constraintdef(o.oid),
                'constraint_comment', obj_description(o.oid, 'pg_constraint')
            ) order by o.oid is null, x.indexrelid), json_build_array())
        from pg_index as x
        inner join pg_class as k on x.indexrelid = k.oid
        left join pg_tablespace as ks on k.reltablespace = ks.oid
        left join pg_constraint as o
            on k.oid = o.conindid and c.oid = o.conrelid and o.contype in ('p', 'u', 'x')
        where x.indrelid = c.oid
    ) as indexes,
    (
        select
            coalesce(json_agg(json_build_object(
                'name', o.conname,
                -- What is not enforced (18) cannot be validated: `dependents` names it.
                'valid', o.convalidated or coalesce(to_jsonb(o) ->> 'conenforced', '') = 'false',
                'no_inherit', o.connoinherit,
                'whole_row', coalesce(0 = any(o.conkey), false), 'comment', obj_description(o.oid, 'pg_constraint')
            ) order by o.conname), json_build_array())
        from pg_constraint as o
        where
            o.conrelid = c.oid and o.contype = 'c'
            and not (
                o.conname = %(check)s
                and coalesce(obj_description(o.oid, 'pg_constraint'), '') like 'upkeep: half made%%'
            )
    ) as checks,
    (
        select
            coalesce(json_agg(json_build_object(
                'name', o.conname,
                'valid', o.convalidated or coalesce(to_jsonb(o) ->> 'conenforced', '') = 'false',
                'definition', pg_get_constraintdef(o.oid),
                'comment', obj_description(o.oid, 'pg_constraint'), 'oid', f.oid::bigint,
                'schema', fn.nspname, 'table', f.relname, 'kind', f.relkind, 'persistence', f.relpersistence,
                'may_reference', has_table_privilege(f.oid, 'references'),
                'may_lock', has_table_privilege(f.oid, 'update, delete, truncate')
            ) order by o.conname), json_build_array())
        from pg_constraint as o
        inner join pg_class as f on o.confrelid = f.oid
        inner join pg_namespace as fn on f.relnamespace = fn.oid
        where o.conrelid = c.oid and o.contype = 'f' and o.conparentid = 0
    ) as foreign_keys,
    array(
        select distinct o.conname::text as name
        from pg_trigger as t inner join pg_constraint as o on t.tgconstraint = o.oid
        where o.conrelid = c.oid and t.tgisinternal and t.tgenabled != 'O'
        order by name
    ) as switched_off,
    (
        select
            coalesce(json_agg(json_build_object(
                'name', t.tgname, 'definition', pg_get_triggerdef(t.oid), 'enabled', t.tgenabled,
                'row', t.tgtype & 1 = 1, 'before', t.tgtype & 2 = 2,
                'transition', t.tgoldtable is not null or t.tgnewtable is not null,
                'comment', obj_description(t.oid, 'pg_trigger'),
                'may_execute', has_function_privilege(p.oid, 'execute'), 'function', p.oid::regprocedure::text,
                'names_table', p.prosrc ~* 'tg_(table_name|table_schema|relname|relid)'
            ) order by t.tgname), json_build_array())
        from pg_trigger as t
        inner join pg_proc as p on t.tgfoid = p.oid
        where t.tgrelid = c.oid and not t.tgisinternal
    ) as triggers,
    (
        select
            coalesce(json_agg(json_build_object(
                'name', p.polname, 'permissive', p.polpermissive, 'command', p.polcmd,
                'roles', array(
                    select r.rolname from unnest(p.polroles) as u (role)
                    left join pg_roles as r on u.role = r.oid
                    order by r.rolname nulls first
                ),
                'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid),
                'comment', obj_description(p.oid, 'pg_policy')
            ) order by p.polname), json_build_array())
        from pg_policy as p
        where p.polrelid = c.oid
    ) as policies,
    (
        select
            coalesce(json_agg(json_build_object(
                'schema', xn.nspname, 'name', x.stxname, 'definition', pg_get_statisticsobjdef(x.oid),
                'owner', pg_get_userbyid(x.stxowner), 'target', nullif(x.stxstattarget, -1),
                'comment', obj_description(x.oid, 'pg_statistic_ext')
            ) order by xn.nspname, x.stxname), json_build_array())
        from pg_statistic_ext as x
        inner join pg_namespace as xn on x.stxnamespace = xn.oid
        where x.stxrelid = c.oid
    ) as statistics,
    (
        select
            coalesce(json_agg(json_build_object(
                'column', g.attname, 'role', r.rolname, 'privilege', g.privilege_type, 'grantable', g.is_grantable
            ) order by g.attname nulls first, r.rolname nulls first, g.privilege_type), json_build_array())
        from (
            select null::name as attname, e.grantee, e.privilege_type, e.is_grantable
            from aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) as e
            union all
            select a.attname, e.grantee, e.privilege_type, e.is_grantable
            from pg_attribute as a
            cross join lateral aclexplode(a.attacl) as e
            where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        ) as g
        left join pg_roles as r on g.grantee = r.oid
    ) as grants,
    coalesce(c.relacl @> acldefault('r', c.relowner), true) as owner_has_all,
    array(
        select distinct coalesce(r.rolname::text, '') as grantee
        from pg_default_acl as a
        cross join lateral aclexplode(a.defaclacl) as g
        left join pg_roles as r on g.grantee = r.oid
        where
            a.defaclobjtype in ('r', 'S') and a.defaclnamespace in (0, n.oid) and g.grantee != c.relowner
            and (a.defaclrole = c.relowner or pg_get_userbyid(a.defaclrole) = current_user)
        order by grantee
    ) as default_grantees,
    (
        select count(*) > 0 from pg_default_acl as a
        where
            a.defaclobjtype in ('r', 'S') and a.defaclnamespace in (0, n.oid)
            and (a.defaclrole = c.relowner or pg_get_userbyid(a.defaclrole) = current_user)
    ) as default_privileges
from pg_class as c
inner join pg_namespace as n on c.relnamespace = n.oid
left join pg_tablespace as s on c.reltablespace = s.oid
where c.oid = any(%(oids)s::oid[])
