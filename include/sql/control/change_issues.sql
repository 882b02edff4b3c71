-- Write what happened to findings, and where they stand since.
with change as (
    select
        told.place,
        told.body ->> 'event' as event,
        told.body ->> 'run_id' as run_id,
        (told.body ->> 'at')::timestamptz as at,
        jsonb_populate_record(null::upkeep.issue, told.body -> 'issue') as issue
    from jsonb_array_elements(%(changes)s::jsonb) with ordinality as told (body, place)
),

event as (
    insert into upkeep.issue_event (recorded_at, fingerprint, run_id, event, severity, evidence)
    select
        at,
        (issue).fingerprint,
        run_id,
        event,
        (issue).severity,
        case
            when event = 'acknowledged'
                then jsonb_build_object(
                    'by', (issue).acknowledged_by,
                    'until', (issue).acknowledged_until,
                    'why', (issue).acknowledged_why
                )
            else (issue).evidence
        end
    from change
    order by place
)

insert into upkeep.issue as known
select ((array_agg(issue order by place desc))[1]).*
from change
group by (issue).fingerprint
on conflict (fingerprint) do update
    set
        status = excluded.status,
        severity = excluded.severity,
        summary = excluded.summary,
        remedy = excluded.remedy,
        evidence = excluded.evidence,
        first_seen = excluded.first_seen,
        first_run = excluded.first_run,
        gone_at = excluded.gone_at,
        gone_by = excluded.gone_by,
        gone_run = excluded.gone_run,
        acknowledged_until = excluded.acknowledged_until,
        acknowledged_by = excluded.acknowledged_by,
        acknowledged_why = excluded.acknowledged_why;
