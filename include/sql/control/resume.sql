-- Resume a target, or the whole fleet (null).
update upkeep.pause
set
    resumed_at = coalesce(%(now)s::timestamptz, clock_timestamp()),
    resumed_by = %(actor)s,
    resume_reason = %(reason)s
where target is not distinct from %(target)s::text and resumed_at is null
returning target;
