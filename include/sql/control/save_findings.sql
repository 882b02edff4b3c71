-- Store findings as one batch.
with batch as (select nextval('upkeep.entry_id') as id)

insert into upkeep.finding (recorded_at, run_id, target, batch, check_name, subject, status, severity, body)
select
    coalesce(%(now)s::timestamptz, statement_timestamp()),
    %(run_id)s,
    %(target)s,
    batch.id,
    found.body ->> 'check',
    found.body ->> 'subject',
    found.body ->> 'status',
    found.body ->> 'severity',
    found.body
from batch
cross join jsonb_array_elements(%(findings)s::jsonb) with ordinality as found (body, place)
order by found.place;
