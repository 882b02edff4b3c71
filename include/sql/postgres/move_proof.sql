-- Count and sum of hashes of the rows of the range in one table; in one snapshot for copy and original, to be compared.
select
    count(*) as rows,
    coalesce(sum(hashtextextended(row({proven})::text, 0)), 0)::text as hash
from only {table} as d
where d.{key} >= {lower} and d.{key} < {upper}
