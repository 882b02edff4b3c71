-- The highest number in one partition; gives up after 20 seconds rather than read on.
select /*+ MAX_EXECUTION_TIME(20000) */ max({key}) as highest from {table} partition ({partition})
