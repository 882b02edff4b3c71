-- One row in twenty has no end: an import that never finished is never due.
insert into public.import_batches (started_at, finished_at, source, row_count)
select
    now() - number * interval '5 minutes' as started_at,
    case when number % 20 > 0 then now() - number * interval '5 minutes' + interval '3 minutes' end as finished_at,
    format('bucket-%s', number % 7) as source,
    number % 1000 as row_count
from generate_series(1, 30000) as number;
