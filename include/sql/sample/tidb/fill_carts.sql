-- Some carts of the last weeks.
insert into carts (id, updated_at, content)
select
    e.id,
    e.created_at,
    concat('cart ', e.order_id)
from {table} as e
where e.created_at >= %(first)s and mod(e.id, 50) = 0
