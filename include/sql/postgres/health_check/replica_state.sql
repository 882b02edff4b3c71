-- Replicas that stream from here. One that vanished has no row: the look before remembers it. A base backup is none.
select
    coalesce(nullif(application_name, ''), '(no name)') || coalesce(' ' || host(client_addr), '') as subject,
    state,
    sync_state
from pg_stat_replication
where state <> 'backup'
order by subject
limit 100;
