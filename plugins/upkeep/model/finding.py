"""What a check saw, and how much it matters."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field

from upkeep.model.value import Json, Value


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
    """What a check saw, with the evidence it saw it in."""

    check: str
    subject: str
    status: FindingStatus
    severity: Severity
    summary: str
    evidence: Json = Field(default_factory=dict)
    remedy: str | None = None

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
