-- Digests of the keys of the rows that are overdue longest; gives up after 10 seconds.
select /*+ MAX_EXECUTION_TIME(10000) */ left(md5(concat_ws(' ', {key})), 16) as id
from {source}
where {predicate}
order by {age} asc
limit %(most)s
