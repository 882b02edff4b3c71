-- Who holds locks on tables (given by name or object id), on their partitions and parents, or on tables that foreign
-- keys tie to them: whom a lock was not obtained from. The oldest transactions first. What our role may not see of
-- others' sessions is null; no query's text is read.
with recursive asked as (
    select to_regclass(w.name)::oid as oid
    from unnest(%(names)s::text[]) as w (name)
    union
    select w.oid
    from unnest(%(oids)s::oid[]) as w (oid)
),

tree as (
    select a.oid from asked as a
    union
    select i.inhrelid
    from tree as t
    inner join pg_inherits as i on t.oid = i.inhparent
),

near as (
    select t.oid from tree as t
    union
    select i.inhparent
    from asked as a
    inner join pg_inherits as i on a.oid = i.inhrelid
    union
    select f.conrelid
    from asked as a
    inner join pg_constraint as f on a.oid = f.confrelid and f.contype = 'f'
    union
    select f.confrelid
    from asked as a
    inner join pg_constraint as f on a.oid = f.conrelid and f.contype = 'f'
)

select
    l.pid,
    p.gid,
    coalesce(a.usename, p.owner)::text as username,
    nullif(a.application_name, '') as application,
    a.backend_type,
    a.state,
    to_char(
        min(coalesce(a.xact_start, p.prepared, a.backend_start)) at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS'
    ) as since,
    coalesce(bool_or(a.backend_start is not null), false) or p.gid is not null as seen
from pg_locks as l
left join pg_stat_activity as a on l.pid = a.pid
left join pg_prepared_xacts as p on l.pid is null and l.virtualtransaction = '-1/' || p.transaction::text
where
    l.granted
    and l.pid is distinct from pg_backend_pid()
    and l.database = (select d.oid from pg_database as d where d.datname = current_database())
    and (
        (
            l.locktype = 'relation'
            and l.relation in (select n.oid from near as n)
            and not (%(writers)s and l.mode = 'AccessShareLock')
        )
        or (
            l.locktype = 'advisory'
            and l.objsubid = 1
            and l.classid::bigint << 32 | l.objid::bigint = %(key)s::bigint
        )
    )
group by l.pid, p.gid, a.usename, p.owner, a.application_name, a.backend_type, a.state
order by min(coalesce(a.xact_start, p.prepared, a.backend_start)) asc nulls last, l.pid asc
limit 4
