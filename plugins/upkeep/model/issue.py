"""The life of a finding across runs."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from upkeep.model.finding import FindingStatus, Severity
from upkeep.model.value import Json, Value


class Issue(Value):
    """Where a finding stands that a run has seen.

    Attributes
    ----------
    fingerprint
        `upkeep.model.fingerprint`: the same from run to run.
    status
        ``finding``, or how the check could not look.
    summary, remedy, evidence
        As they were when something last happened to it.
    first_seen, first_run
        When, and by which run, it was found; anew when it comes back after it was gone.
    gone_at, gone_by, gone_run
        Since when it is no more; ``mended`` by that run, or ``gone`` when that run looked; ``None`` while it is open.
    acknowledged_until, acknowledged_by, acknowledged_why
        A person's word that it may stand until then.
    """

    fingerprint: str
    target: str
    job: str
    check: str
    subject: str
    status: FindingStatus
    severity: Severity
    summary: str
    remedy: str | None = None
    evidence: Json
    first_seen: datetime
    first_run: str
    gone_at: datetime | None = None
    gone_by: Literal["mended", "gone"] | None = None
    gone_run: str | None = None
    acknowledged_until: datetime | None = None
    acknowledged_by: str | None = None
    acknowledged_why: str | None = None

    @property
    def open(self) -> bool:
        """Whether it stands."""
        return self.gone_at is None

    @property
    def unseen(self) -> bool:
        """Whether what is wrong is that the check cannot look."""
        return self.status is not FindingStatus.FINDING

    def acknowledged(self, now: datetime) -> bool:
        """Return whether a person's word that it may stand counts now."""
        return self.open and self.acknowledged_until is not None and now < self.acknowledged_until


class IssueEvent(StrEnum):
    """What can happen to a finding."""

    NEW = "new"
    RETURNED = "returned"
    CHANGED = "changed"
    MENDED = "mended"
    GONE = "gone"
    ACKNOWLEDGED = "acknowledged"


class Transition(Value):
    """Something that happened to a finding; ``issue`` is where it stands since, ``run_id`` the run that saw to it."""

    event: IssueEvent
    issue: Issue
    at: datetime
    run_id: str | None = None
