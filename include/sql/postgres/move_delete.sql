-- Takes the rows of the range out of the default partition; count and sum of hashes are compared with the copy's.
with gone as (
    delete from only {default} as d
    where d.{key} >= {lower} and d.{key} < {upper}
    returning row({returned})::text as entry
)

select
    count(*) as rows,
    coalesce(sum(hashtextextended(gone.entry, 0)), 0)::text as hash
from gone
