"""Every night at 02:30 UTC: rows older than the fleet file allows are archived or gone, proven by count and hash.

For every table with a `retain:` policy in the fleet file: partitions or rows past their age are archived or
deleted. Exactly the rows copied are the rows deleted, in one transaction, counts compared.

- `requires: nothing`: done right away. `requires: approval` (the default), or more than the policy's `limits`:
  handed to **approved_changes**, one run for each plan, which asks a person. The nightly run never waits.
- `requires: {backup: 26 hours}`: done only when a verified backup covers it.

The **Upkeep** tab of a run shows plan, gates, outcomes and findings. Backfills work on today's state with a past
instant: they never delete more than today's policy allows.
"""

from upkeep.airflow.dags import maintenance_dag

dag = maintenance_dag("data_retention", __doc__)
