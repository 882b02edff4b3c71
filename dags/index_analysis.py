"""Every night at 05:00 UTC: which indexes are broken, there twice, covered by others, unused, or missing.

It looks at every database of the fleet (PostgreSQL, TiDB, MongoDB) unless the fleet file says `indexes: false`:
indexes that an interrupted building left invalid, exact duplicates, those that a wider one begins with, those that
nothing has used for 35 days on any node, and foreign keys without an index.

Only exact duplicates are ever taken away, and only after a person's approval in **approved_changes**: dropped on
PostgreSQL (the statement that makes it again is kept), made invisible on TiDB, hidden on MongoDB. `upkeep undo RUN`
brings each back.

The **Upkeep** tab of a run shows findings with their evidence, plan, gates and outcomes.
"""

from upkeep.airflow.dags import maintenance_dag

dag = maintenance_dag("index_analysis", __doc__)
