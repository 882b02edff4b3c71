-- Settings of the connection that flushes: its commits are durable here when they return, whatever the role's setting;
-- no standby is waited for.
select
    set_config('synchronous_commit', 'local', false) as synchronous_commit,
    set_config('statement_timeout', '30s', false) as statement_timeout
