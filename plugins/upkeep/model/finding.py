"""What a check saw, and how much it matters."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final, Literal, Self

from pydantic import Field

from upkeep.model.value import Json, Value, digest

SERVER: Final = "server"
"""Subject of a finding about the server as a whole."""


class Severity(StrEnum):
    """How much a finding matters, rising."""

    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"

    @property
    def rank(self) -> int:
        """Return 0 for INFO up to 3 for CRITICAL."""
        return list(Severity).index(self)


class FindingStatus(StrEnum):
    """What a check can say. "Could not look" (the last two) is never "nothing found"."""

    OK = "ok"
    FINDING = "finding"
    FAILED = "failed"
    NOT_AVAILABLE = "not_available"
    INSUFFICIENT_EVIDENCE = "insufficient_evidence"


class Finding(Value):
    """What a check saw, with the evidence it saw it in.

    Attributes
    ----------
    subject
        What it is about, and outlives a run: a table, ``user@application``; never a process id.
    fingerprint, first_seen, state, acknowledged_until
        Its life across runs, as the run that tells of it left it: ``new``, ``standing`` (an earlier run saw it too)
        or ``mended`` (that run has put it right); until when a person has acknowledged it, while that counts.
    """

    check: str
    subject: str
    status: FindingStatus
    severity: Severity
    summary: str
    evidence: Json = Field(default_factory=dict)
    remedy: str | None = None
    fingerprint: str | None = None
    first_seen: datetime | None = None
    state: Literal["new", "standing", "mended"] | None = None
    acknowledged_until: datetime | None = None

    @property
    def settled(self) -> bool:
        """Whether nobody needs to do anything now: put right by its run, or acknowledged."""
        return self.state == "mended" or self.acknowledged_until is not None

    @property
    def unseen(self) -> bool:
        """Whether the check could not look; that is never "nothing found"."""
        return self.status not in (FindingStatus.OK, FindingStatus.FINDING)

    @classmethod
    def of(
        cls,
        check: str,
        subject: str,
        severity: Severity,
        summary: str,
        remedy: str | None = None,
        *,
        evidence: Json | None = None,
        status: FindingStatus = FindingStatus.FINDING,
    ) -> Self:
        """Build a finding from what it says, in the order of its reading."""
        return cls(
            check=check,
            subject=subject,
            status=status,
            severity=severity,
            summary=summary,
            evidence=evidence or {},
            remedy=remedy,
        )


def fingerprint(target: str, job: str, finding: Finding) -> str:
    """Return what stays the same of a finding from run to run: the digest of target, job, check and subject."""
    return digest(target, job, finding.check, finding.subject)[:20]
