-- What all rows of a table amount to, whatever their order: two sums over a digest of each.
select
    count(*) as `rows`,
    coalesce(sum(cast(conv(substring(d.digest, 1, 12), 16, 10) as unsigned)), 0) as first,
    coalesce(sum(cast(conv(substring(d.digest, 13, 12), 16, 10) as unsigned)), 0) as second
from (
    select md5(concat_ws('|', {columns})) as digest
    from {table}
) as d
