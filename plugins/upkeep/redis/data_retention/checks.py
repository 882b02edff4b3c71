"""Why nothing of a key may be deleted, with the exact remedy. Pure."""

from __future__ import annotations

from typing import Any

from upkeep.model import Finding, FindingStatus, Severity
from upkeep.redis.data_retention.view import View
from upkeep.redis.session import LACKS


def refusal(view: View) -> Finding | None:
    """Return why nothing of the key may be deleted, or ``None``."""
    first = view.first
    if view.kind == "none":
        return None  # the gate says that it is not there
    if view.kind == "unreadable":
        text = "the key's name is no text (UTF-8): it cannot be shown, approved or recorded"
        return _refused(view, "kind", text, "rename the key, or narrow the pattern")
    if view.kind == "denied" or view.row.get("denied"):
        text = f"it could not be looked at: {view.row['denied']}"
        return _refused(view, "privileges", text, LACKS, status=FindingStatus.NOT_AVAILABLE)
    if view.kind != "stream":
        return _refused(view, "kind", f"it is a {view.kind}, not a stream", "correct the name")
    if first is not None and (first.is_early or first.is_late(view.now)):
        text = f"its ids are no times: the first one is {first}; nobody knows how old an entry is"
        remedy = "let the server make the ids (XADD key *), or take retain out"
        return _refused(view, "ids_are_times", text, remedy, first=str(first))
    if view.row.get("may_trim") is False:
        text = "our user may not delete entries"
        return _refused(view, "privileges", text, LACKS)
    return None


def _refused(
    view: View, check: str, text: str, remedy: str, *, status: FindingStatus = FindingStatus.FINDING, **evidence: Any
) -> Finding:
    return Finding.of(check, view.subject, Severity.ERROR, text, remedy, evidence=evidence, status=status)
