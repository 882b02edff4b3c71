-- Create the partitions of the present and the next three months (UTC) for each append-only table, where
-- nothing covers that month yet. Run by the first migration and by each later `init`: without a partition
-- nothing can be recorded, and without a record nothing may be changed, the ledger's own partitions
-- included. A partition is built aside and attached, which does not lock out readers and writers.
do $$
declare
    parent record;
    month timestamp;
    child text;
begin
    for parent in
        select c.oid, c.relname
        from pg_catalog.pg_partitioned_table as p
        inner join pg_catalog.pg_class as c on c.oid = p.partrelid
        where c.relnamespace = 'upkeep'::regnamespace
        order by c.relname
    loop
        for month in
            select date_trunc('month', now() at time zone 'UTC') + make_interval(months => ahead)
            from generate_series(0, 3) as ahead
        loop
            child := parent.relname || to_char(month, '"_p"YYYYMM');
            continue when to_regclass('upkeep.' || child) is not null;
            begin
                execute format('create table upkeep.%I (like upkeep.%I including all)', child, parent.relname);
                execute format(
                    'alter table upkeep.%I attach partition upkeep.%I for values from (%L) to (%L)',
                    parent.relname, child,
                    month at time zone 'UTC', (month + interval '1 month') at time zone 'UTC'
                );
            exception
                when invalid_object_definition then null; -- another partition covers (part of) that month
            end;
        end loop;
    end loop;
end $$;
