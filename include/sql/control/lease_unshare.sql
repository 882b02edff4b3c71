-- What the lock is for may begin again.
select pg_advisory_unlock_shared(%(key)s) as unlocked;
