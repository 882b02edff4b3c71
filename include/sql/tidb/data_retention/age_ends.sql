-- The least and the greatest number of an age column: whether they are times in the declared unit. 0 says nothing.
(select {hint} {age} as number from {table} where {age} <> 0 order by {age} limit 1) -- noqa: PRS
union all
(select {hint} {age} as number from {table} where {age} <> 0 order by {age} desc limit 1)
