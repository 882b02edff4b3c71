"""Data retention on PostgreSQL: what is older than the policy goes, whole partitions or rows, kept or not.

The parts: `observe` reads, `view_from_frames` makes a view of each table with its cut-off,
`checks` says what forbids to delete, `plan` decides (with `row_plan` and `drop_plan`; `detached` says what a
detached table waits for), `apply` carries out with `detach`, `drop`, `reattach`, `archive_table` and `batches`,
the modules of `files` archive into files and bring rows back, `frames` shows the gates; here they are put together.
"""

from typing import Final

from upkeep.jobs.contract import Job
from upkeep.postgres.data_retention import apply, covered, examined_rows, frames, observe, plan, undo
from upkeep.postgres.data_retention.files import plan_restore
from upkeep.postgres.session import PostgresSession

JOB: Final[Job[PostgresSession]] = Job(
    observe=observe.observe,
    decide=plan.plan,
    gates=frames,
    apply=apply.apply,
    undo=undo.undo,
    doomed_rows=examined_rows.batches,
    plan_restore=plan_restore.plan,
    remembers=frozenset({"detached", "intents", "locations"}),
    uncovered=covered.uncovered,
)
