"""Data retention on TiDB: what is older than the policy goes, whole partitions or rows, kept or not.

The parts: `observe` reads, `view_from_frames` makes a `view` of each table, `checks` says what forbids to delete,
`plan` decides (with `row_plan` and `drop_plan`; `detached` says what a detached table waits for), `apply` carries out
with `detach`, `merge`, `drop`, `reattach` and `batches`, `frames` shows the gates; here they are put together.
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
from upkeep.tidb.data_retention import apply, frames, observe, plan
from upkeep.tidb.session import TiDBSession


class DataRetention:
    """The job; implements `upkeep.jobs.contract.Job`."""

    name: Final = "data_retention"

    def observe(self, session: Session, target: Target, at: datetime, memory: Memory) -> Observation:
        """Read what the plan and the gates need; change nothing."""
        return observe.observe(cast("TiDBSession", session), target, at, memory)

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
        """Put a partition back that was detached and not dropped yet; nothing else can be taken back here."""
        return apply.undo(cast("TiDBSession", session), action, outcome)


JOB: Final = DataRetention()
