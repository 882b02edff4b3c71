"""Every night at 00:15 UTC: the partitions that the fleet file declares exist, on every target.

For every table with a `partition:` policy in the fleet file: the partitions that should exist, less those that
do, from the catalog's bounds, the policy and the clock; never from names or from outlying rows. Gaps are filled,
rows of a new range are moved out of the default partition up to the policy's limit, the rest is reported.

| step | what happens |
|---|---|
| `observe` | reads the catalog, changes nothing |
| `gate_before` | stops this target when its server must not be touched |
| `plan` | decides; a pure function of what was observed, the policy and the run's instant |
| `apply` | creates, checks and attaches so that writers are not blocked |
| `gate_after` | proves: declared headroom exists, no gap, no overlap |

The **Upkeep** tab of a run shows plan, gates, outcomes and findings. A target that did not end well makes the run
failed and leaves the others alone. Backfills work on today's state with a past instant.
"""

from upkeep.airflow.dags import maintenance_dag

dag = maintenance_dag("partition_creation", __doc__)
