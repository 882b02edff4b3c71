"""What a job would do to a target, and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from pydantic import Field

from upkeep.model.action import Action
from upkeep.model.finding import Finding
from upkeep.model.observation import Observation
from upkeep.model.value import Json, Value, digest
from upkeep.request import Request


class Plan(Value):
    """What a job would do to a target, and why.

    Attributes
    ----------
    policy
        Digest of what the fleet file said of the target when it was planned; empty: not known.
    request
        What was asked of the run (`Request.asked`): it is planned again with that.
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
    request: Json = Field(default_factory=dict)

    @classmethod
    def make(cls, observation: Observation, actions: Sequence[Action], findings: Sequence[Finding] = ()) -> Self:
        """Build a plan whose id binds to the server, the objects, the bounds, the predicates and the row estimates."""
        return cls(
            plan_id=_id(observation.server.identity, observation.target, observation.job, actions),
            target=observation.target,
            engine=observation.engine,
            job=observation.job,
            identity=observation.server.identity,
            at=observation.at,
            actions=tuple(actions),
            findings=tuple(findings),
        )

    def asked(self, request: Request) -> Self:
        """Return the plan as the answer to a request, which its id then binds to as well."""
        asked = request.asked()
        if not asked:
            return self
        plan_id = _id(self.identity, self.target, self.job, self.actions, asked)
        return self.model_copy(update={"plan_id": plan_id, "request": asked})

    @property
    def awaiting(self) -> tuple[Action, ...]:
        """Return the actions that wait for a person."""
        return tuple(a for a in self.actions if a.needs_person)


def _id(identity: str, target: str, job: str, actions: Sequence[Action], *more: Json) -> str:
    what = [(a.id, a.rows, list(a.statements), a.destructive) for a in actions]
    return digest(identity, target, job, what, *more)[:20]
