"""Partition creation on PostgreSQL: what is declared ahead exists, gaps are filled, defaults are drained.

Range partitions by one column of time or whole numbers, list and hash partitions by one column, and one level
of sub-partitions of any of these. The parts: `observe` reads, `view_from_frames` and `view_of_level`
judge each table, `upkeep.jobs.partition_creation.layout` and `list_and_hash` work out what is missing, `plan`
decides, `apply` makes one partition; the modules of `conversion` make the first one of a plain table; here they
are put together as the job.
"""

from typing import Final

from upkeep.jobs.contract import Job, Work
from upkeep.model import Outcome
from upkeep.postgres.partition_creation import apply, frames, observe, plan
from upkeep.postgres.partition_creation.conversion import apply as conversion_apply
from upkeep.postgres.partition_creation.conversion import plan as conversion_plan
from upkeep.postgres.partition_creation.conversion import undo as conversion_undo
from upkeep.postgres.session import PostgresSession


def _apply(work: Work[PostgresSession]) -> Outcome:
    converts = work.action.kind == conversion_plan.KIND
    return conversion_apply.apply(work) if converts else apply.apply(work)


def _undo(work: Work[PostgresSession], outcome: Outcome) -> Outcome:
    converts = work.action.kind == conversion_plan.KIND
    return conversion_undo.undo(work, outcome) if converts else apply.undo(work, outcome)


JOB: Final[Job[PostgresSession]] = Job(
    observe=observe.observe,
    decide=plan.plan,
    gates=frames,
    apply=_apply,
    undo=_undo,
    measures=frames.measures,
)
