-- One run of ours at a time works on a parent's partitions. A session lock: it survives commits, not the session.
select pg_try_advisory_lock(%(key)s) as obtained
