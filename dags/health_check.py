"""Every five minutes: how are the servers? Nothing is changed, no user table is read.

Each target of the fleet is looked at: connections, replication, long transactions, memory, headroom. What each engine's
checks are, and from when on they are raised, **docs/health_check.md** says. Quiet rounds leave one row a target in the
ledger; where something is new, worse or gone, the run's **Upkeep** tab tells it. A target that is unhealthy or could
not be looked at makes its task, and the run, red.
"""

from upkeep.airflow.dags import maintenance_dag

dag = maintenance_dag("health_check", __doc__)
