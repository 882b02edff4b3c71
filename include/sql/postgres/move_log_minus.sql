-- Takes out of the copy what the log says is gone on balance: rows are compared as a whole, doubles are counted.
with net as (
    select
        e.entry,
        -sum(e.n) as n
    from (
        select
            l.old::text as entry,
            -1 as n
        from only {log} as l
        where not (l.old is null)
        union all
        select
            l.new::text as entry,
            1 as n
        from only {log} as l
        where not (l.new is null)
    ) as e
    group by e.entry
    having sum(e.n) < 0
)

delete from only {child}
where ctid = any(array(
    select c.place
    from (
        select
            upkeep_row.ctid as place,
            upkeep_row::text as entry,
            row_number() over (partition by upkeep_row::text) as number
        from only {child} as upkeep_row
        where upkeep_row::text in (select net.entry from net)
    ) as c
    inner join net on c.entry = net.entry
    where c.number <= net.n
))
