-- Create the partitions of the present and the next three months (UTC) for each append-only table, where no
-- partition takes the first moment of that month (of this month: now) yet, whoever made it and whatever its
-- name. Run by the first migration and by each later `init`: without a partition nothing can be recorded,
-- and without a record nothing may be changed, the ledger's own partitions included. A partition is built
-- aside and attached, which does not lock out readers and writers.
do $$
declare
    parent record;
    month timestamp;
    bounds text;
    covered boolean;
    child text;
begin
    for parent in
        select c.oid, c.relname
        from pg_catalog.pg_partitioned_table as p
        inner join pg_catalog.pg_class as c on c.oid = p.partrelid
        where c.relnamespace = 'upkeep'::regnamespace
        order by c.relname
    loop
        select coalesce(string_agg('(' || pg_get_partition_constraintdef(i.inhrelid) || ')', ' or '), 'false')
        into bounds
        from pg_catalog.pg_inherits as i
        where i.inhparent = parent.oid;
        for month in
            select date_trunc('month', now() at time zone 'UTC') + make_interval(months => ahead)
            from generate_series(0, 3) as ahead
        loop
            execute format(
                'select %s from (select %L::timestamptz as recorded_at) as moment',
                bounds, greatest(month at time zone 'UTC', now())
            ) into covered;
            continue when covered;
            child := parent.relname || to_char(month, '"_p"YYYYMM');
            begin
                execute format('create table upkeep.%I (like upkeep.%I including all)', child, parent.relname);
                execute format(
                    'alter table upkeep.%I attach partition upkeep.%I for values from (%L) to (%L)',
                    parent.relname, child,
                    month at time zone 'UTC', (month + interval '1 month') at time zone 'UTC'
                );
            exception
                when invalid_object_definition or duplicate_table then
                    raise notice '% has a partition or table in the way of %', parent.relname, child;
            end;
        end loop;
    end loop;
end $$;
