-- A migration takes its time, but does not queue in front of running statements.
select set_config('lock_timeout', '10s', true), set_config('statement_timeout', '15min', true);
