-- Begin a target of a run; a cleared task begins it again.
insert into upkeep.run_target (run_id, target, engine, started_at)
values (%(run_id)s, %(target)s, %(engine)s, coalesce(%(now)s::timestamptz, clock_timestamp()))
on conflict (run_id, target) do update set status = null, error = null, finished_at = null;
