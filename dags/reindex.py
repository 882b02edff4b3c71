"""Started by hand: rebuilds indexes of PostgreSQL that are full of air, or exactly those that you name.

**Trigger** shows a form. Without a name it finds the most bloated indexes (1 GiB and more, 20 % air and more, five at
most); each limit is a field. With names it takes exactly these.

Nothing is done before a person has read the plan: each run hands it to **approved_changes**, which asks. Then each
index is built anew beside the old one (`REINDEX INDEX CONCURRENTLY`): readers and writers go on. It is not begun
beside a dump, or beside a transaction that is older than five minutes, and gives way to whoever waits behind it.
What an interrupted run leaves, the next one drops.

The **Upkeep** tab of a run shows plan, gates and outcomes, with the size before and after.
"""

from upkeep.airflow.dags import maintenance_dag

dag = maintenance_dag("reindex", __doc__)
"""Its form has a field for each thing that a person may ask."""
