-- Sessions that hold a transaction open and do nothing.
select
    usename || '@' || coalesce(nullif(application_name, ''), '(no name)') as subject,
    count(*) as sessions,
    min(pid) as pid,
    max(extract(epoch from clock_timestamp() - state_change))::float8 as value
from pg_stat_activity
where
    state in ('idle in transaction', 'idle in transaction (aborted)')
    and coalesce(application_name, '') not like 'upkeep%%'
group by usename, application_name
order by value desc
limit 20;
