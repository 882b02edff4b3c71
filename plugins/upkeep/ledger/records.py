"""What the ledger answers with, besides the values of `upkeep.model`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from upkeep.model import Action, Issue, Json, Outcome, Plan

NOT_FINISHED = "not_finished"
"""State of a target that has no end: the run still goes on, or was killed."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run, without what it did.

    Attributes
    ----------
    at
        The instant that the run works on.
    trigger, actor
        What started it (``cli``, ``schedule`` …), and who.
    finished_at
        ``None`` while it goes on, or when it was killed.
    """

    run_id: str
    job: str
    at: datetime
    trigger: str
    actor: str
    options: Json
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A line in the list of runs.

    Attributes
    ----------
    targets
        Target → a `TargetStatus` value or `NOT_FINISHED`; by name.
    """

    run_id: str
    job: str
    at: datetime
    trigger: str
    actor: str
    started_at: datetime
    finished_at: datetime | None
    targets: Mapping[str, str]
    options: Json = field(default_factory=dict)

    def document(self) -> Json:
        """Return its part of what ``runs --json`` prints."""
        return {
            "run_id": self.run_id,
            "job": self.job,
            "at": self.at.isoformat(),
            "trigger": self.trigger,
            "actor": self.actor,
            "plan_only": bool(self.options.get("plan_only")),
            "started_at": self.started_at.isoformat(),
            "finished_at": self.finished_at.isoformat() if self.finished_at else None,
            "targets": {name: str(state) for name, state in self.targets.items()},
        }


@dataclass(frozen=True, slots=True)
class Pause:
    """Somebody's word that nothing is to be changed; ``target`` is ``None`` for the whole fleet."""

    target: str | None
    actor: str
    reason: str
    paused_at: datetime

    @property
    def text(self) -> str:
        """Who, when and why, for people."""
        what = f"'{self.target}'" if self.target is not None else "the whole fleet"
        why = f": {self.reason}" if self.reason else ""
        return f"{what} was paused by {self.actor} at {self.paused_at:%Y-%m-%d %H:%M:%S %Z}{why}"


class ApprovalState(StrEnum):
    """Where a plan stands."""

    AWAITING = "awaiting"
    GRANTED = "granted"
    EXPIRED = "expired"
    REJECTED = "rejected"
    USED = "used"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class PendingPlan:
    """A plan that waits for a person, or was approved and waits for its run.

    Attributes
    ----------
    run_id, created_at
        The newest run that planned exactly this, and when.
    state
        ``awaiting``, ``granted`` or ``expired``.
    decided_by, decided_at, expires_at
        The approval, when there is one; it counts before ``expires_at``.
    """

    plan: Plan
    run_id: str
    created_at: datetime
    state: ApprovalState
    decided_by: str | None = None
    decided_at: datetime | None = None
    expires_at: datetime | None = None

    def document(self) -> Json:
        """Return its part of what ``pending --json`` prints."""
        return {
            "plan_id": self.plan.plan_id,
            "job": self.plan.job,
            "target": self.plan.target,
            "run_id": self.run_id,
            "actions": len(self.plan.awaiting),
            "rows": sum(action.rows or 0 for action in self.plan.awaiting),
            **({"request": self.plan.request} if self.plan.request else {}),
            "created_at": self.created_at.isoformat(),
            "state": self.state.value,
            "decided_by": self.decided_by,
            "expires_at": self.expires_at.isoformat() if self.expires_at else None,
        }


@dataclass(frozen=True, slots=True)
class DoneAction:
    """An action that was done, and how."""

    run_id: str
    target: str
    job: str
    action: Action
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class OpenIssue:
    """A finding in the list of those that are open, or were lately.

    Attributes
    ----------
    issue
        With what was said of it last.
    last_seen
        When it was last seen.
    acknowledged
        Whether a person's word that it may stand counts now.
    """

    issue: Issue
    last_seen: datetime
    acknowledged: bool

    def document(self) -> Json:
        """Return its part of what ``findings --json`` prints."""
        issue = self.issue
        document = issue.model_dump(
            mode="json",
            exclude_none=True,
            exclude={"gone_by", "acknowledged_until", "acknowledged_by", "acknowledged_why"},
        )
        document |= {"state": issue.gone_by or "open", "last_seen": self.last_seen.isoformat()}
        if self.acknowledged and issue.acknowledged_until is not None:
            document["acknowledged_until"] = issue.acknowledged_until.isoformat()
            document |= {"acknowledged_by": issue.acknowledged_by, "acknowledged_why": issue.acknowledged_why}
        return document
