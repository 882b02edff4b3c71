"""What a job would do to a target, and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from upkeep.model.action import Action
from upkeep.model.finding import Finding
from upkeep.model.observation import Observation
from upkeep.model.value import Value, digest


class Plan(Value):
    """What a job would do to a target, and why.

    Attributes
    ----------
    policy
        Digest of what the fleet file said of the target when it was planned; empty: not known.
    """

    plan_id: str
    target: str
    engine: str
    job: str
    identity: str
    at: datetime
    actions: tuple[Action, ...]
    findings: tuple[Finding, ...] = ()
    policy: str = ""

    @classmethod
    def make(cls, observation: Observation, actions: Sequence[Action], findings: Sequence[Finding] = ()) -> Self:
        """Build a plan whose id binds to the server, the objects, the bounds, the predicates and the row estimates."""
        plan_id = digest(
            observation.identity,
            observation.target,
            observation.job,
            [(a.id, a.rows, list(a.statements), a.destructive) for a in actions],
        )[:20]
        return cls(
            plan_id=plan_id,
            target=observation.target,
            engine=observation.engine,
            job=observation.job,
            identity=observation.identity,
            at=observation.at,
            actions=tuple(actions),
            findings=tuple(findings),
        )

    @property
    def awaiting(self) -> tuple[Action, ...]:
        """Return the actions that wait for a person."""
        return tuple(a for a in self.actions if a.needs_person)
