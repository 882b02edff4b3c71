-- Of looks older than two days keep the first of each hour, target and job, where our role may delete. What is older
-- than nine days was thinned out before, so that this reads a week at the most. The bounds are put in as literals:
-- every command runs this, and the planner then opens the partitions of that week and no others.
do $$
declare
    oldest timestamptz := date_trunc('hour', now()) - interval '9 days';
    newest timestamptz := date_trunc('hour', now()) - interval '2 days';
begin
    if has_table_privilege('upkeep.look', 'delete') then
        execute format(
            'delete from upkeep.look as thinned '
            'using ('
            '    select id, recorded_at,'
            '        row_number() over (partition by target, job, date_trunc(''hour'', recorded_at) order by id) as place'
            '    from upkeep.look where recorded_at >= %1$L and recorded_at < %2$L'
            ') as old '
            'where thinned.recorded_at >= %1$L and thinned.recorded_at < %2$L'
            '    and thinned.id = old.id and thinned.recorded_at = old.recorded_at and old.place > 1',
            oldest, newest
        );
    end if;
end $$;
