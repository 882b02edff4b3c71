-- Settings of each control connection. Months of partitions are UTC; what is recorded survives a crash of
-- the server even where the role turned that off; a decision sees what was committed before it; a stuck
-- statement ends instead of hanging a run; a holder of a lock is not thrown out for being idle, but is
-- noticed when its machine is gone. What the role or the database sets otherwise (formats, a read-only
-- default, a search path that shadows functions) changes nothing.
select pg_catalog.set_config(wanted.name, wanted.value, false)
from (
    values
    ('timezone', 'UTC'),
    ('datestyle', 'ISO, YMD'),
    ('bytea_output', 'hex'),
    ('standard_conforming_strings', 'on'),
    ('array_nulls', 'on'),
    ('search_path', 'pg_catalog, pg_temp'),
    ('client_min_messages', 'warning'),
    ('default_transaction_isolation', 'read committed'),
    ('default_transaction_read_only', 'off'),
    ('default_transaction_deferrable', 'off'),
    ('idle_in_transaction_session_timeout', '60s'),
    ('transaction_timeout', '0'),
    ('synchronous_commit', case current_setting('synchronous_commit') when 'off' then 'on' end),
    ('statement_timeout', '60s'),
    ('lock_timeout', '30s'),
    ('idle_session_timeout', '0'),
    ('tcp_keepalives_idle', '15'),
    ('tcp_keepalives_interval', '5'),
    ('tcp_keepalives_count', '3')
) as wanted (name, value)
inner join pg_catalog.pg_settings as known on lower(known.name) = wanted.name
where wanted.value is not null;
