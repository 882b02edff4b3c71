-- From here on the session reads as of a snapshot; an empty one: as of now.
set session
tidb_snapshot = %(tso)s,
max_execution_time = 0
