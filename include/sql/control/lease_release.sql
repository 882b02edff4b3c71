-- Give the lock back.
with ended as (
    update upkeep.lease
    set released_at = clock_timestamp()
    where identity = %(identity)s and name = %(lease)s and token = %(token)s
    returning token
)

select pg_advisory_unlock(%(key)s) as unlocked, (select count(*) from ended) as ended;
