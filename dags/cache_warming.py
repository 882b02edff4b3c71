"""Every 15 minutes, and by hand: rows of a database become keys in Redis, before anybody asks for them.

For each entry under `warm:` of a Redis target the rows of its query are read (PostgreSQL, TiDB or MongoDB; read-only,
with a time limit) and set as keys that expire, a tenth sooner or later. Unchanged values are not written again, and a
key that another writer has set is never touched. What was warmed is proven: sampled keys equal their rows, read again.

Nothing is warmed that does not fit: an entry's budget must lie within four fifths of the memory that is free. A source
that does not answer leaves the keys as they are. The target's window does not hold it; `mode: observe` and a pause do.

By hand, **entry** names the entries to warm; left empty, all are.
"""

from upkeep.airflow.dags import maintenance_dag

dag = maintenance_dag("cache_warming", __doc__)
