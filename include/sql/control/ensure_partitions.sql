-- Create the partitions of the present and the next three months (UTC) for each append-only table, where no
-- partition takes the first moment of that month (of this month: now) yet, whoever made it and whatever its
-- name; looks, which come every few minutes, get a partition for each day of these months. Run by the first
-- migration and by each later `init`: without a partition nothing can be recorded, and without a record nothing
-- may be changed, the ledger's own partitions included. A partition is built aside and attached, which does
-- not lock out readers and writers.
do $$
declare
    parent record;
    uncovered timestamptz;
    start timestamp;
    bounds text;
    moments timestamptz [];
    child text;
begin
    for parent in
        select c.oid, c.relname, step.unit, step.suffix
        from pg_catalog.pg_partitioned_table as p
        inner join pg_catalog.pg_class as c on c.oid = p.partrelid
        cross join lateral (
            values ('day', '"_p"YYYYMMDD', c.relname = 'look'), ('month', '"_p"YYYYMM', c.relname != 'look')
        ) as step (unit, suffix, fits)
        where c.relnamespace = 'upkeep'::regnamespace and step.fits
        order by c.relname
    loop
        select coalesce(string_agg('(' || pg_get_partition_constraintdef(i.inhrelid) || ')', ' or '), 'false')
        into bounds
        from pg_catalog.pg_inherits as i
        where i.inhparent = parent.oid;
        select array_agg(greatest(step at time zone 'UTC', now()) order by step)
        into moments
        from generate_series(
            date_trunc(parent.unit, now() at time zone 'UTC'),
            date_trunc('month', now() at time zone 'UTC') + interval '4 months' - interval '1 day',
            ('1 ' || parent.unit)::interval
        ) as step;
        for uncovered in
            execute format(
                'select recorded_at from unnest(%L::timestamptz[]) as moment (recorded_at) '
                'where (%s) is not true order by recorded_at',
                moments, bounds
            )
        loop
            start := date_trunc(parent.unit, uncovered at time zone 'UTC');
            child := parent.relname || to_char(start, parent.suffix);
            begin
                execute format('create table upkeep.%I (like upkeep.%I including all)', child, parent.relname);
                execute format(
                    'alter table upkeep.%I attach partition upkeep.%I for values from (%L) to (%L)',
                    parent.relname, child,
                    start at time zone 'UTC', (start + ('1 ' || parent.unit)::interval) at time zone 'UTC'
                );
            exception
                when invalid_object_definition or duplicate_table then
                    raise notice '% has a partition or table in the way of %', parent.relname, child;
            end;
        end loop;
    end loop;
end $$;
