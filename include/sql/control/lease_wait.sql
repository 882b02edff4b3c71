-- Let others see that somebody waits for a lock, until this session ends; waits for nobody itself.
select pg_advisory_lock_shared(%(key)s);
