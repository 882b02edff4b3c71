-- Whether a run is the first of its job that began today, in UTC; and whether our role may make partitions.
select
    not exists (
        select 1
        from upkeep.run as r
        inner join upkeep.run as mine on r.job = mine.job
        where
            mine.run_id = %(run_id)s
            and r.started_at >= date_trunc('day', mine.started_at at time zone 'UTC') at time zone 'UTC'
            and (r.started_at, r.run_id) < (mine.started_at, mine.run_id)
    ) as first,
    pg_has_role((select relowner from pg_class where oid = 'upkeep.look'::regclass), 'usage') as owner;
