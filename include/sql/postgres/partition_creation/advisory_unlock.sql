-- Gives the right to work on a parent's partitions back.
select pg_advisory_unlock(%(key)s) as released
