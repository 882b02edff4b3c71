-- Pause a target, or the whole fleet (null); what is paused already stays as it was.
insert into upkeep.pause (target, actor, reason, paused_at)
values (%(target)s, %(actor)s, %(reason)s, coalesce(%(now)s::timestamptz, clock_timestamp()))
on conflict do nothing;
