-- How many rows of one table are overdue, counted up to a limit from the oldest on; digests of where the oldest lie.
select
    count(*) as overdue,
    (array_agg(left(md5(concat_ws(' ', s.oid, s.place, s.age)), 16)))[1:{shown}] as ids
from (
    select
        t.tableoid as oid,
        t.ctid as place,
        t.{age} as age
    from {table} as t
    where {overdue}
    order by t.{age} asc
    limit {limit} -- noqa: AM09
) as s
