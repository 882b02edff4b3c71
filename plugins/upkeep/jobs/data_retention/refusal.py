"""Why nothing of a table or collection may go: said to people as a finding, to programs as a reason code."""

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
    """

    check: str
    text: str
    remedy: str
    code: ReasonCode = ReasonCode.NOT_SUPPORTED

    def finding(self, subject: str) -> Finding:
        """Return it as a finding."""
        return Finding(
            check=self.check,
            subject=subject,
            status=FindingStatus.FINDING,
            severity=Severity.ERROR,
            summary=self.text,
            remedy=self.remedy,
        )
