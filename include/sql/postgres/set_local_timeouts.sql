-- Bounds every lock wait and the run time of each statement of this transaction, and of no other; a CHECK that proves
-- that a look can find nothing makes it unnecessary.
select
    pg_catalog.set_config('lock_timeout', %(lock)s, true) as lock_timeout,
    pg_catalog.set_config('statement_timeout', %(statement)s, true) as statement_timeout,
    pg_catalog.set_config('constraint_exclusion', 'on', true) as constraint_exclusion
