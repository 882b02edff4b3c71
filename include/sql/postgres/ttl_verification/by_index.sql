-- Lets the count of this transaction go through an index, whatever stale statistics say: never a whole large table.
select pg_catalog.set_config('enable_seqscan', 'off', true) as enable_seqscan
