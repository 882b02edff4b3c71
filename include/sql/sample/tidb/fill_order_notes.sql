-- A note for every twentieth event; twelve have no time.
insert into order_notes (id, created_at, note)
select
    e.id,
    case when e.id % 4000 = 60 then null else e.created_at end,
    concat('note on order ', e.order_id)
from {table} as e
where e.id % 20 = 0
