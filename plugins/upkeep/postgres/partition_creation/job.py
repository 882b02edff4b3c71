"""Partition creation on PostgreSQL: what is declared ahead exists, gaps are filled, defaults are drained.

Range partitions by one column of time or whole numbers, list and hash partitions by one column, and one level
of sub-partitions of any of these. The parts: `observe` reads, `view_from_frames` and `view_of_level`
judge each table, `upkeep.jobs.partition_creation.layout` and `list_and_hash` work out what is missing, `plan`
decides, `apply` makes one partition; the modules of `conversion` make the first one of a plain table; here they
are put together as the job.
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
from upkeep.postgres.partition_creation import apply, frames, observe, plan
from upkeep.postgres.partition_creation.conversion import apply as conversion_apply
from upkeep.postgres.partition_creation.conversion import plan as conversion_plan
from upkeep.postgres.partition_creation.conversion import undo as conversion_undo
from upkeep.postgres.session import PostgresSession


class PartitionCreation:
    """The job; implements `upkeep.jobs.contract.Job`."""

    name: Final = "partition_creation"

    def observe(self, session: Session, target: Target, at: datetime, memory: Memory) -> Observation:
        """Read what the plan and the gates need, in three queries when nothing is missing; change nothing."""
        return observe.observe(cast("PostgresSession", session), target, at)

    def plan(self, observation: Observation, target: Target) -> Plan:
        """Decide; pure."""
        return plan.plan(observation, target)

    def frames(
        self, observation: Observation, target: Target, stage: Stage, plan: Plan | None, outcomes: Sequence[Outcome]
    ) -> Mapping[str, list[dict[str, Any]]]:
        """Return the tables that the stage's suite looks at."""
        return of_stage(frames, observation, target, stage, plan, outcomes)

    def apply(self, work: Work) -> Outcome:
        """Make one partition, or convert a plain table."""
        if work.action.kind == conversion_plan.KIND:
            return conversion_apply.apply(work)
        return apply.apply(work)

    def undo(self, session: Session, action: Action, outcome: Outcome) -> Outcome:
        """Detach and drop the partition while it is empty; put a plain table back."""
        if action.kind == conversion_plan.KIND:
            return conversion_undo.undo(cast("PostgresSession", session), action, outcome)
        return apply.undo(cast("PostgresSession", session), action, outcome)


JOB: Final = PartitionCreation()
