-- Findings that are open (with everything: also those that ended in the last 30 days), the gravest first, then
-- the oldest. Last seen: by the newest look that could look at it; what that run said of it is newer than what
-- the issue says.
select
    i.*,
    coalesce(seen.recorded_at, i.first_seen) as last_seen,
    clock.now,
    said.body as said
from upkeep.issue as i
cross join (select coalesce(%(now)s::timestamptz, clock_timestamp()) as now) as clock
left join lateral (
    select l.recorded_at, l.run_id
    from upkeep.look as l
    where
        l.target = i.target
        and l.job = i.job
        and l.recorded_at >= i.first_seen
        and l.recorded_at <= coalesce(i.gone_at, clock.now)
        and l.run_id is distinct from i.gone_run
        and not l.unseen && array['*', i.check_name, i.fingerprint]
    order by l.recorded_at desc
    limit 1
) as seen on true
left join lateral (
    select f.body
    from upkeep.finding as f
    where
        f.run_id = seen.run_id
        and f.target = i.target
        and f.check_name = i.check_name
        and f.subject = i.subject
        and f.severity = i.severity
        and f.status = i.status
        and f.recorded_at >= i.first_seen - interval '1 day'
    order by f.id desc
    limit 1
) as said on true
where
    (%(targets)s::text[] = '{}' or i.target = any(%(targets)s))
    and (i.gone_at is null or (%(everything)s and i.gone_at >= clock.now - interval '30 days'))
order by
    i.gone_at is not null,
    array_position(array['CRITICAL', 'ERROR', 'WARNING', 'INFO'], i.severity),
    i.first_seen,
    i.target,
    i.check_name,
    i.subject;
