"""Every night at 04:00 UTC: is gone what should be gone, and does what expires by itself go on doing so?

For every table, collection or pattern of keys with a `ttl:` or `retain:` policy in the fleet file: the declared policy,
the engine's own state (TTL indexes and their monitor on MongoDB, TTL jobs on TiDB, keys that never expire on Redis),
and the number of rows that are still there although engine or retention had time enough to remove them.

Nothing is changed. A retention that was skipped (it waits for approval, for a backup, for its window) is told with its
reason, and raises nothing a second time. What is overdue and why, and what to do, is on the run's **Upkeep** tab;
`docs/ttl_verification.md` says what is counted, and how.
"""

from upkeep.airflow.dags import maintenance_dag

dag = maintenance_dag("ttl_verification", __doc__)
