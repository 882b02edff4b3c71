-- Settings of the session while an index is built: where it lies, how long that may take, how long others are waited
-- for. With the session's own values it is as it was.
select
    set_config('default_tablespace', %(tablespace)s, false) as pinned_tablespace,
    set_config('statement_timeout', %(statement)s, false) as pinned_statement_timeout,
    set_config('lock_timeout', %(lock)s, false) as pinned_lock_timeout
