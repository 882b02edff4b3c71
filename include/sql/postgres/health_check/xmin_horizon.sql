-- What keeps dead rows from being cleaned up: sessions, prepared transactions, slots, replicas with feedback. Of the
-- last two only the id is known; held: it has been standing since a look saw it first.
select
    usename || '@' || coalesce(nullif(application_name, ''), '(no name)') as subject,
    max(extract(epoch from clock_timestamp() - coalesce(xact_start, query_start)))::float8 as value,
    max(age(backend_xmin))::bigint as transactions,
    null::text as held
from pg_stat_activity
where
    backend_xmin is not null
    and backend_type = 'client backend'
    and pid <> pg_backend_pid()
    and coalesce(application_name, '') not like 'upkeep%%'
group by usename, application_name
union all
select
    'prepared ' || gid,
    extract(epoch from clock_timestamp() - prepared)::float8,
    age(transaction)::bigint,
    null
from pg_prepared_xacts
union all
select
    'slot ' || slot_name,
    null,
    greatest(age(xmin), age(catalog_xmin))::bigint,
    coalesce(xmin, catalog_xmin)::text
from pg_replication_slots
where xmin is not null or catalog_xmin is not null
union all
select
    'replica ' || coalesce(nullif(application_name, ''), '(no name)'),
    null,
    age(backend_xmin)::bigint,
    backend_xmin::text
from pg_stat_replication
where backend_xmin is not null
order by transactions desc
limit 20;
