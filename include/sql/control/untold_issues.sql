-- Findings of these targets that stand otherwise than people outside were told: new, graver or milder ones of at
-- least ERROR, and those that ended or fell below. Not told before: what a person has acknowledged, and, while Upkeep
-- itself sees nothing, that targets are out of reach.
with clock as (
    select coalesce(%(now)s::timestamptz, clock_timestamp()) as now
),

standing as (
    select
        i.*,
        clock.now,
        case when i.gone_at is null and i.severity in ('ERROR', 'CRITICAL') then i.severity end as stands
    from upkeep.issue as i
    cross join clock
    where
        i.target = any(%(targets)s)
        and (i.told is not null or (i.gone_at is null and i.severity in ('ERROR', 'CRITICAL')))
)

select s.*
from standing as s
where
    s.told is distinct from s.stands
    and (s.stands is null or s.acknowledged_until is null or s.acknowledged_until <= s.now)
    and (
        s.stands is null
        or s.told is not null
        or s.check_name != %(away)s
        or not exists (
            select 1
            from upkeep.issue as b
            where b.check_name = %(blind)s and b.gone_at is null and b.target = any(%(targets)s)
        )
    )
order by s.stands is null, s.severity, s.first_seen, s.target, s.check_name, s.subject;
