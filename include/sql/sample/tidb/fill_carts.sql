-- A cart of each of the last days.
insert into carts (id, updated_at, content)
with recursive n as (
    select 0 as day
    union all
    select day + 1 from n where day < 27
)

select
    day,
    utc_timestamp() - interval day day,
    concat('cart ', day)
from n
