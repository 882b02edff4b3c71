-- A transaction that only reads, and how long one fetch of its cursor may take; all rows of the cursor will be fetched.
select
    set_config('transaction_read_only', 'on', true) as reads_only,
    set_config('statement_timeout', %(milliseconds)s, true) as statement_timeout,
    set_config('cursor_tuple_fraction', '1', true) as cursor_tuple_fraction;
