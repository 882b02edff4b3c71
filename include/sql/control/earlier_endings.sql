-- How earlier runs ended that tried the same action (by its intent; else of the same kind on the same object), newest
-- first: whether the reason was this one. A run that had nothing of the kind to do is not among them.
with tries as (
    select
        i.run_id,
        i.action_id,
        i.recorded_at,
        i.id,
        i.body ->> 'intent' = %(intent)s as exact
    from upkeep.action_event as i
    where
        i.target = %(target)s
        and i.job = %(job)s
        and i.event = 'intent'
        and i.run_id != %(run_id)s
        and i.action_kind = %(action_kind)s
        and i.body ->> 'subject' = %(subject)s
    order by i.id desc
    limit 500
)

select
    t.run_id,
    min(t.recorded_at) as at,
    coalesce(
        bool_and(coalesce(o.reason = %(code)s, false)) filter (where t.exact),
        bool_and(coalesce(o.reason = %(code)s, false))
    ) as same
from tries as t
left join lateral (
    select e.body ->> 'reason_code' as reason
    from upkeep.action_event as e
    where
        e.run_id = t.run_id
        and e.target = %(target)s
        and e.action_id = t.action_id
        and e.event in ('done', 'skipped', 'failed')
        and e.id > t.id
    order by e.id desc
    limit 1
) as o on true
group by t.run_id
order by max(t.id) desc;
