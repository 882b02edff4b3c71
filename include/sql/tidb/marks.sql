-- What rows amount to, whatever their order, by range: two sums over a digest of each. A large table takes its
-- time: two hours.
select /*+ MAX_EXECUTION_TIME(7200000) */
    d.label,
    count(*) as `rows`,
    count(*) - count(d.digest) as unread,
    coalesce(sum(cast(conv(substring(d.digest, 1, 12), 16, 10) as unsigned)), 0) as first,
    coalesce(sum(cast(conv(substring(d.digest, 13, 12), 16, 10) as unsigned)), 0) as second
from (
    select {hint} {label} as label, md5(concat_ws('|', {columns})) as digest
    from {source}
    where {predicate} {locking} -- noqa: PRS
) as d
group by d.label
