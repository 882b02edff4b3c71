-- Take the lock on a physical database if it is free; it belongs to this session and goes with it.
select pg_try_advisory_lock(%(key)s) as taken, pg_backend_pid() as backend_pid;
