-- Pins every setting that our statements rely on, and says who the server is, in one round trip.
-- search_path: a hostile schema must not shadow anything. row_security off: fail rather than miss rows.
-- datestyle and timezone: bounds are printed in one form. jit: our statements are short.
-- default_tablespace and access method: what we make lies where the table says, not where a role's setting says.
-- session_replication_role: with 'replica', foreign keys and triggers would not see what we delete.
-- What only some servers know, or only some roles may set, is touched only where it is there and otherwise set.
select
    pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false) as pinned,
    pg_catalog.set_config('timezone', 'UTC', false) as pinned_timezone,
    pg_catalog.set_config('datestyle', 'ISO, YMD', false) as pinned_datestyle,
    pg_catalog.set_config('intervalstyle', 'postgres', false) as pinned_intervalstyle,
    pg_catalog.set_config('bytea_output', 'hex', false) as pinned_bytea_output,
    pg_catalog.set_config('extra_float_digits', '1', false) as pinned_float_digits,
    pg_catalog.set_config('standard_conforming_strings', 'on', false) as pinned_strings,
    pg_catalog.set_config('quote_all_identifiers', 'off', false) as pinned_quotes,
    pg_catalog.set_config('array_nulls', 'on', false) as pinned_array_nulls,
    pg_catalog.set_config('client_min_messages', 'warning', false) as pinned_messages,
    pg_catalog.set_config('jit', 'off', false) as pinned_jit,
    pg_catalog.set_config('default_tablespace', '', false) as pinned_tablespace,
    pg_catalog.set_config('default_table_access_method', 'heap', false) as pinned_access_method,
    pg_catalog.set_config('row_security', 'off', false) as pinned_row_security,
    pg_catalog.set_config('default_transaction_isolation', 'read committed', false) as pinned_isolation,
    pg_catalog.set_config('default_transaction_read_only', 'off', false) as pinned_read_only,
    pg_catalog.set_config('default_transaction_deferrable', 'off', false) as pinned_deferrable,
    case
        when pg_catalog.current_setting('session_replication_role') != 'origin'
            then pg_catalog.set_config('session_replication_role', 'origin', false)
    end as pinned_replication_role,
    pg_catalog.set_config('lock_timeout', %(lock_timeout)s, false) as pinned_lock_timeout,
    pg_catalog.set_config('statement_timeout', %(statement_timeout)s, false) as pinned_statement_timeout,
    pg_catalog.set_config('idle_in_transaction_session_timeout', %(idle_timeout)s, false) as pinned_idle_timeout,
    pg_catalog.set_config('idle_session_timeout', '0', false) as pinned_session_timeout,
    case
        when pg_catalog.current_setting('transaction_timeout', true) is not null
            then pg_catalog.set_config('transaction_timeout', '0', false)
    end as pinned_transaction_timeout,
    pg_catalog.current_setting('server_version_num')::integer as version_number,
    pg_catalog.current_setting('server_version') as version,
    current_user::text as role,
    pg_catalog.pg_is_in_recovery() as is_replica,
    pg_catalog.pg_backend_pid() as backend_pid,
    pg_catalog.to_char(
        pg_catalog.pg_postmaster_start_time() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'
    ) as started,
    (select c.system_identifier::text from pg_catalog.pg_control_system() as c) as system_identifier,
    (
        select d.oid::bigint from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database()
    ) as database_oid
