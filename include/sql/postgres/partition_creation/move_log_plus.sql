-- Adds to the copy what the log says has come on balance.
with net as (
    select
        (array_agg(e.entry))[1] as entry,
        sum(e.n) as n
    from (
        select
            l.new as entry,
            1 as n
        from only {log} as l
        where not (l.new is null)
        union all
        select
            l.old as entry,
            -1 as n
        from only {log} as l
        where not (l.old is null)
    ) as e
    group by e.entry::text
    having sum(e.n) > 0
)

insert into {child} ({columns})
select {entry_columns}
from net
cross join lateral generate_series(1, net.n)
