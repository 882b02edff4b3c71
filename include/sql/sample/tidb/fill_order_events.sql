-- 10,000 of the 50,000 events, evenly from the first month to now; in five transactions, which is faster than one.
insert into {table} (id, created_at, order_id, kind, amount)
with digits as (
    select 0 as d
    union all
    select 1 as d
    union all
    select 2 as d
    union all
    select 3 as d
    union all
    select 4 as d
    union all
    select 5 as d
    union all
    select 6 as d
    union all
    select 7 as d
    union all
    select 8 as d
    union all
    select 9 as d
),

numbers as (
    select a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d as n
    from digits as a
    cross join digits as b
    cross join digits as c
    cross join digits as e
    cross join digits as f
    where f.d = %(part)s
)

select
    n,
    date_add(%(first)s, interval floor(n / 50000 * %(seconds)s) second),
    n div 5,
    elt(n % 5 + 1, 'placed', 'paid', 'packed', 'sent', 'delivered'),
    round(5 + n % 977 / 7, 2)
from numbers -- noqa: PRS
