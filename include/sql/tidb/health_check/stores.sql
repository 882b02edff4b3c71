-- What the placement driver thinks of each TiKV and TiFlash; there is none on an embedded store.
select
    s.address as instance,
    s.store_state_name as state
from information_schema.tikv_store_status as s
order by s.address
limit 1000
