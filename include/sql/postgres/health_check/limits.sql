-- What a check may take of the server: a second, no lock that others hold; and whether it sees sessions of others.
select
    set_config('statement_timeout', '1s', false) as statements,
    set_config('lock_timeout', '100ms', false) as locks,
    pg_has_role(current_user, 'pg_read_all_stats', 'usage') as sees_all,
    extract(epoch from clock_timestamp())::float8 as at;
