-- What depends on a table by its object id and would keep reading the old part after a conversion, or stop it: views,
-- rules of other tables, functions with an SQL body, policies of other tables, foreign keys that point here, whatever
-- uses the table's row as a type, and what else names the table, or draws from the sequence of its identity. And what
-- newer servers (18) let a plain table have, but no partitioned one, or none to which it is to be attached.
select
    'foreign key' as kind,
    format('%%s of %%s', quote_ident(o.conname), o.conrelid::regclass) as name
from pg_constraint as o
where o.confrelid = %(oid)s::oid and o.contype = 'f' and o.conparentid = 0
union
select
    case v.relkind when 'v' then 'view' when 'm' then 'materialized view' else 'rule' end as kind,
    case
        when v.relkind in ('v', 'm') then v.oid::regclass::text
        else format('%%s of %%s', quote_ident(r.rulename), v.oid::regclass)
    end as name
from pg_depend as d
inner join pg_rewrite as r on d.objid = r.oid
inner join pg_class as v on r.ev_class = v.oid
where
    d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass
    and d.refobjid = %(oid)s::oid and r.ev_class != d.refobjid
union
select
    'function' as kind,
    d.objid::regprocedure::text as name
from pg_depend as d
where d.classid = 'pg_proc'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = %(oid)s::oid
union
select
    'policy' as kind,
    format('%%s of %%s', quote_ident(p.polname), p.polrelid::regclass) as name
from pg_depend as d
inner join pg_policy as p on d.objid = p.oid
where
    d.classid = 'pg_policy'::regclass and d.refclassid = 'pg_class'::regclass
    and d.refobjid = %(oid)s::oid and p.polrelid != d.refobjid
union
select
    'user of its row type' as kind,
    pg_describe_object(d.classid, d.objid, d.objsubid) as name
from pg_type as t
inner join pg_depend as d on d.refclassid = 'pg_type'::regclass and d.refobjid in (t.oid, t.typarray)
where t.typrelid = %(oid)s::oid and d.deptype != 'i'
union
select
    'user of its identity''s sequence' as kind,
    pg_describe_object(d.classid, d.objid, d.objsubid) as name
from pg_depend as s
inner join pg_depend as d on d.refclassid = 'pg_class'::regclass and s.objid = d.refobjid
where
    s.classid = 'pg_class'::regclass and s.refclassid = 'pg_class'::regclass and s.refobjid = %(oid)s::oid
    and s.refobjsubid > 0 and s.deptype = 'i' and d.deptype != 'i'
union
select
    'object' as kind,
    pg_describe_object(d.classid, d.objid, d.objsubid) as name
from pg_depend as d
left join pg_constraint as o on d.classid = 'pg_constraint'::regclass and d.objid = o.oid
left join pg_attrdef as f on d.classid = 'pg_attrdef'::regclass and d.objid = f.oid
left join pg_trigger as t on d.classid = 'pg_trigger'::regclass and d.objid = t.oid
where
    d.refclassid = 'pg_class'::regclass and d.refobjid = %(oid)s::oid and d.deptype in ('n', 'a')
    and (
        (o.conrelid != d.refobjid and o.contype != 'f')
        or f.adrelid != d.refobjid
        or (t.tgrelid != d.refobjid and not t.tgisinternal)
    )
union
select
    case
        when o.contype != 'n' then 'constraint that is not enforced'
        when o.connoinherit then 'not-null constraint without heirs'
        else 'not-null constraint without a proof'
    end as kind,
    quote_ident(o.conname) as name
from pg_constraint as o
where
    o.conrelid = %(oid)s::oid
    and (o.contype = 'n' and (o.connoinherit or not o.convalidated) or to_jsonb(o) ->> 'conenforced' = 'false')
union
select
    'unlogged table' as kind,
    c.oid::regclass::text as name
from pg_class as c
where
    c.oid = %(oid)s::oid and c.relkind = 'r' and c.relpersistence = 'u'
    and current_setting('server_version_num')::int >= 180000
order by kind, name
