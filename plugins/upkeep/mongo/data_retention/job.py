"""Data retention on MongoDB: what is older than the policy goes, kept in an archive or not.

Ordinary collections lose documents in batches. Time-series collections cannot on this version (a delete by time is
refused before MongoDB 7.0): there the server expires measurements itself by ``expireAfterSeconds``, which this job
sets, keeps to the policy, and, with an archive, holds back until everything that it would delete is archived. With
an archive it is the policy's age plus ``grace``: as long the job may fail to run before something is lost.

The parts: `observe` reads, `view` puts policy and state together, `checks` says what forbids to delete, `plan`
decides, `apply` carries out with `batches` and `measurements`, `frames` shows the gates; here they are put together.
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
from upkeep.mongo.data_retention import apply, frames, observe, plan
from upkeep.mongo.session import MongoSession


class DataRetention:
    """The job; implements `upkeep.jobs.contract.Job`."""

    name: Final = "data_retention"

    def observe(self, session: Session, target: Target, at: datetime, memory: Memory) -> Observation:
        """Read what the plan and the gates need; change nothing."""
        # nothing is left half done: what a killed run did is seen in the collections themselves
        return observe.observe(cast("MongoSession", session), target, at, memory.expiries)

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
        """Restore the expiry that was there before; nothing else can be taken back."""
        return apply.undo(cast("MongoSession", session), action, outcome)


JOB: Final = DataRetention()
