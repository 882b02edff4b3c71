-- Asks the placement driver for anything at all: a single node has none and says so.
select r.region_id
from information_schema.tikv_region_status as r
limit 1 -- noqa: AM09
