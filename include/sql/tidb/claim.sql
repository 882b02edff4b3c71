-- Claims a table for this run, against other runs of Upkeep; ends with the session, however it ends. Never waits.
select get_lock(%(name)s, 0) as obtained
