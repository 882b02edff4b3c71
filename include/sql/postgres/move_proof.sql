-- The copy's count and sum of hashes.
select
    count(*) as rows,
    coalesce(sum(hashtextextended(row({returned})::text, 0)), 0)::text as hash
from only {child} as d -- noqa: AL05
