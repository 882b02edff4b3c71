-- What is open of a target and job, and what is known of the named fingerprints, open or not; each with the
-- present moment.
select
    i.*,
    clock.now
from (select coalesce(%(now)s::timestamptz, clock_timestamp()) as now) as clock
left join upkeep.issue as i
    on
        i.target = %(target)s
        and i.job = %(job)s
        and (i.gone_at is null or i.fingerprint = any(%(fingerprints)s))
order by i.first_seen, i.fingerprint;
