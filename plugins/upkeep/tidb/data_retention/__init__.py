"""Data retention on TiDB: what is older than the policy goes, whole partitions or rows, kept or not.

The parts: `observe` reads, `view_from_frames` makes a `view` of each table, `checks` says what forbids to delete,
`plan` decides (with `row_plan` and `drop_plan`; `detached` says what a detached table waits for), `apply` carries out
with `detach`, `merge`, `drop`, `reattach` and `batches`, `frames` shows the gates; here they are put together.
"""

from typing import Final

from upkeep.jobs.contract import Job
from upkeep.tidb.data_retention import apply, covered, frames, observe, plan
from upkeep.tidb.session import TiDBSession

JOB: Final[Job[TiDBSession]] = Job(
    observe=observe.observe,
    decide=plan.plan,
    gates=frames,
    apply=apply.apply,
    undo=apply.undo,
    uncovered=covered.uncovered,
    remembers=frozenset({"detached", "intents"}),
)
