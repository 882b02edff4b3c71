"""Partition creation on TiDB: what is declared ahead exists.

RANGE and RANGE COLUMNS by one column of time or whole numbers, INTERVAL partitioning included. The parts: `observe`
reads, `care` judges each table, `upkeep.jobs.partition_creation.layout` works out what is missing, `plan` decides,
`apply` carries out through `upkeep.tidb.ddl`, `frames` shows the gates; here they are put together as the job.
"""

from typing import Final

from upkeep.jobs.contract import Job, Work
from upkeep.model import Outcome
from upkeep.tidb import holders
from upkeep.tidb.partition_creation import apply, frames, observe, plan
from upkeep.tidb.session import TiDBSession


def _apply(work: Work[TiDBSession]) -> Outcome:
    return holders.named(work, apply.apply(work))


def _undo(work: Work[TiDBSession], outcome: Outcome) -> Outcome:
    return holders.named(work, apply.undo(work, outcome))


JOB: Final[Job[TiDBSession]] = Job(
    observe=observe.observe,
    decide=plan.plan,
    gates=frames,
    apply=_apply,
    undo=_undo,
    measures=frames.measures,
)
