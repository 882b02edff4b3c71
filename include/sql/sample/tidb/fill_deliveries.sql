-- The deliveries of the last days.
insert into deliveries (id, delivered_on, parcel)
select
    e.id,
    cast(e.created_at as date),
    concat('parcel ', e.order_id)
from {table} as e
where e.kind = 'delivered' and e.created_at >= %(first)s
