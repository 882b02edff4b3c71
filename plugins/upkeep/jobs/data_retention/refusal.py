"""Why nothing of a table or collection may go, and why a detached one stays: values that become findings."""

from __future__ import annotations

from dataclasses import dataclass

from upkeep.model import Finding, FindingStatus, ReasonCode, Severity


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason why it is left alone, with the exact remedy.

    Attributes
    ----------
    check
        What was looked at: the finding's name.
    status
        ``not_available``: what is due could not be looked at, which matters where nothing is changed too.
    """

    check: str
    text: str
    remedy: str
    code: ReasonCode = ReasonCode.NOT_SUPPORTED
    status: FindingStatus = FindingStatus.FINDING

    def finding(self, subject: str) -> Finding:
        """Return it as a finding."""
        return Finding.of(self.check, subject, Severity.ERROR, self.text, self.remedy, status=self.status)


@dataclass(frozen=True, slots=True)
class Drift:
    """One way in which the archive does not take the table's rows, and the statement that mends it."""

    text: str
    remedy: str


@dataclass(frozen=True, slots=True)
class KeepReason:
    """Why a detached table stays.

    Attributes
    ----------
    check
        What was looked at: the finding's name.
    text
        Goes on after the table's name and since when it is detached.
    """

    check: str
    text: str
    remedy: str
    severity: Severity = Severity.WARNING
