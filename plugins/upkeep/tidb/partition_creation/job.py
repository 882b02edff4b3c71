"""Partition creation on TiDB: what is declared ahead exists.

RANGE and RANGE COLUMNS by one column of time or whole numbers, INTERVAL partitioning included. The parts: `observe`
reads, `care` judges each table, `upkeep.jobs.partition_creation.layout` works out what is missing, `plan` decides,
`apply` carries out through `upkeep.tidb.ddl`, `frames` shows the gates; here they are put together as the job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, cast

from upkeep.engines import Session
from upkeep.fleet import Target
from upkeep.jobs.contract import Work
from upkeep.jobs.frames import of_stage
from upkeep.model import Action, Memory, Observation, Outcome, Plan, Stage
from upkeep.tidb import holders
from upkeep.tidb.partition_creation import apply, frames, observe, plan
from upkeep.tidb.session import TiDBSession


class PartitionCreation:
    """The job; implements `upkeep.jobs.contract.Job`."""

    name: Final = "partition_creation"

    def observe(self, session: Session, target: Target, at: datetime, memory: Memory) -> Observation:
        """Read what the plan and the gates need; change nothing."""
        return observe.observe(cast("TiDBSession", session), target, at)

    def plan(self, observation: Observation, target: Target) -> Plan:
        """Decide; pure."""
        return plan.plan(observation, target)

    def frames(
        self, observation: Observation, target: Target, stage: Stage, plan: Plan | None, outcomes: Sequence[Outcome]
    ) -> Mapping[str, list[dict[str, Any]]]:
        """Return the tables that the stage's suite looks at."""
        return of_stage(frames, observation, target, stage, plan, outcomes)

    def apply(self, work: Work) -> Outcome:
        """Add the partitions that one table lacks."""
        return holders.named(work.session, work.action, apply.apply(work))

    def undo(self, session: Session, action: Action, outcome: Outcome) -> Outcome:
        """Drop the partitions while they are empty."""
        return holders.named(session, action, apply.undo(cast("TiDBSession", session), action, outcome))


JOB: Final = PartitionCreation()
