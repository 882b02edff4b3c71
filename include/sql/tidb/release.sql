-- Gives a claim back.
select release_lock(%(name)s) as released
