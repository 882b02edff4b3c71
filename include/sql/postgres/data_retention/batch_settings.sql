-- Settings of the batches. A batch reads its range through the index or by pages: never the whole table because the
-- planner's statistics are stale. A row locked by others is waited for briefly, and tried again later.
-- work_mem holds the rows of one batch on their way into the archive. synchronous_commit is off between batches: a
-- crash of the server undoes whole batches, the next run does them again; `flush.sql` makes all of them durable
-- before the outcome is recorded.
select
    set_config('lock_timeout', %(lock)s, false) as lock_timeout,
    set_config('statement_timeout', %(statement)s, false) as statement_timeout,
    set_config('enable_seqscan', %(seqscan)s, false) as enable_seqscan,
    set_config('enable_sort', %(seqscan)s, false) as enable_sort,
    set_config('work_mem', coalesce(%(work_mem)s, reset.setting || 'kB'), false) as work_mem,
    set_config('synchronous_commit', coalesce(%(commit)s, commit.reset_val), false) as synchronous_commit
from (select s.reset_val as setting from pg_settings as s where s.name = 'work_mem') as reset
cross join (select s.reset_val from pg_settings as s where s.name = 'synchronous_commit') as commit
