-- Where a sequence stands, and whether that value was given out.
select
    s.last_value as value,
    s.is_called as called
from {sequence} as s
