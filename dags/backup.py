"""Every night at 00:30 UTC: a backup of every target that says `backup:`, published whole, and restored to prove it.

| step | what happens |
|---|---|
| `observe` | looks at the database, at the directory that gets the backups, and at those that are there |
| `plan` | one backup a night; those that are older than `keep` go, never fewer than `at_least` verified ones |
| `apply` | the engine's own tool takes it at one snapshot; it gets a manifest and its name when it is whole |
| `verify` | restores it into a server of its own, one at a time, and compares rows, keys, indexes, checksums |
| `gate_after` | proves: what was published lies there whole, what expired is gone |

Only a backup that was restored counts as verified, and only a verified one may let rows go that say
`requires: {backup: AGE}`: **data_retention** waits for it. Backups ignore the window; they are not taken of a target
that is paused or only observed. `upkeep backups`, `verify` and `restore` work from the directory alone.
"""

from upkeep.airflow.dags import maintenance_dag

dag = maintenance_dag("backup", __doc__)
