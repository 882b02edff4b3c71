-- What a check may take of the server: a second, and no lock that others hold.
select
    set_config('statement_timeout', '1s', false) as statements,
    set_config('lock_timeout', '100ms', false) as locks;
