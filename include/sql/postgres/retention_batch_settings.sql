-- Settings of the batches. A batch reads its range through the index or by pages: never the whole table because the
-- planner's statistics are stale. A row locked by others is waited for briefly, and tried again later.
select
    set_config('lock_timeout', %(lock)s, false) as lock_timeout,
    set_config('statement_timeout', %(statement)s, false) as statement_timeout,
    set_config('enable_seqscan', %(seqscan)s, false) as enable_seqscan,
    set_config('enable_sort', %(seqscan)s, false) as enable_sort
