-- Takes out of the copy what the log says is gone on balance: rows are compared as a whole, doubles are counted. A row
-- is found again by its table and its place there: the copy may have partitions of its own.
with net as (
    select
        e.entry,
        -sum(e.n) as n
    from (
        select -- noqa: AM07
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
),

gone as materialized (
    select
        c.home,
        c.place
    from (
        select
            upkeep_row.tableoid as home,
            upkeep_row.ctid as place,
            upkeep_row::text as entry,
            row_number() over (partition by upkeep_row::text) as number
        from {child} as upkeep_row
        where upkeep_row::text in (select net.entry from net)
    ) as c
    inner join net on c.entry = net.entry
    where c.number <= net.n
)

delete from {child}
where ctid = any(array(select gone.place from gone)) and (tableoid, ctid) in (select gone.home, gone.place from gone)
