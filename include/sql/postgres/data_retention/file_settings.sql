-- Settings of one transaction that removes rows into a file. Its end must be durable when the file begins to count, so
-- it is committed synchronously whatever the role's setting; sending the rows may take longer than other batches.
select
    set_config(
        'synchronous_commit',
        case when s.reset_val = 'off' then 'local' else s.reset_val end,
        true
    ) as synchronous_commit,
    set_config('statement_timeout', %(statement)s, true) as statement_timeout
from pg_settings as s
where s.name = 'synchronous_commit'
