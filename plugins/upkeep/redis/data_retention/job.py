"""Data retention on Redis: entries of streams that are older than the policy go.

A stream is Redis' log: entries in order of their ids, which begin with the time they were added. Keys of other types
carry no ages; what may go of them is for their own time to live to say.

The parts: `observe` reads (through `upkeep.redis.streams`), `view` puts policy and state together, `checks` says
what forbids to delete, `plan` decides, `apply` deletes, `frames` shows the gates; here they are put together.
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
from upkeep.redis.data_retention import apply, frames, observe, plan
from upkeep.redis.session import RedisSession


class DataRetention:
    """The job; implements `upkeep.jobs.contract.Job`."""

    name: Final = "data_retention"

    def observe(self, session: Session, target: Target, at: datetime, memory: Memory) -> Observation:
        """Read what the plan and the gates need; change nothing."""
        return observe.observe(cast("RedisSession", session), target, at)

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
        """Say that nothing can be taken back."""
        return apply.undo(action)


JOB: Final = DataRetention()
