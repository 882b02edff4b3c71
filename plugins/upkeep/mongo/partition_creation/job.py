"""Partition creation on MongoDB: collections, time-series options, validators and indexes are as declared.

MongoDB has no partitions; what its owner declares about the shape of a collection is made here. What is missing is
created; what differs is reported with the exact command, and corrected where the server changes it in place and the
policy says ``corrections: apply``. The parts: `observe` reads, `care` puts each declared collection beside what is
there (`upkeep.mongo.specs` compares), `plan` decides, `apply` does, `frames` shows the gates; here they are put
together as the job.
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
from upkeep.mongo.partition_creation import apply, frames, observe, plan
from upkeep.mongo.session import MongoSession


class PartitionCreation:
    """The job; implements `upkeep.jobs.contract.Job`."""

    name: Final = "partition_creation"

    def observe(self, session: Session, target: Target, at: datetime, memory: Memory) -> Observation:
        """Read what the plan and the gates need; change nothing."""
        return observe.observe(cast("MongoSession", session), target, at)

    def plan(self, observation: Observation, target: Target) -> Plan:
        """Decide; pure."""
        return plan.plan(observation, target)

    def frames(
        self, observation: Observation, target: Target, stage: Stage, plan: Plan | None, outcomes: Sequence[Outcome]
    ) -> Mapping[str, list[dict[str, Any]]]:
        """Return the tables that the stage's suite looks at."""
        return of_stage(frames, observation, target, stage, plan, outcomes)

    def apply(self, work: Work) -> Outcome:
        """Carry one action out."""
        return apply.apply(work)

    def undo(self, session: Session, action: Action, outcome: Outcome) -> Outcome:
        """Drop what was created while it is empty, restore what was changed."""
        return apply.undo(cast("MongoSession", session), action, outcome)


JOB: Final = PartitionCreation()
