-- Count and sum of hashes of the rows that belong in one table; in one snapshot for copy and original, to be compared.
select
    count(*) as rows,
    coalesce(sum(hashtextextended(row({proven})::text, 0)), 0)::text as hash
from {table} as d -- noqa: AL05
where {belongs}
