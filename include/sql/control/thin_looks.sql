-- Of looks older than two days keep the first of each hour, target and job, where our role may delete. What is older
-- than nine days was thinned out before, so that this reads a week at the most.
do $$
begin
    if has_table_privilege('upkeep.look', 'delete') then
        delete from upkeep.look as thinned
        using (
            select
                id,
                recorded_at,
                row_number() over (partition by target, job, date_trunc('hour', recorded_at) order by id) as place
            from upkeep.look
            where
                recorded_at >= date_trunc('hour', now()) - interval '9 days'
                and recorded_at < date_trunc('hour', now()) - interval '2 days'
        ) as old
        where thinned.id = old.id and thinned.recorded_at = old.recorded_at and old.place > 1;
    end if;
end $$;
