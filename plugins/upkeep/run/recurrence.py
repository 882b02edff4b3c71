"""What comes back every night says so: "plan again" helps nobody who reads it for the tenth time."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from upkeep.model import Action, Outcome, ReasonCode

if TYPE_CHECKING:
    from upkeep.ledger import Ledger

COUNTED: Final = frozenset({ReasonCode.STATE_CHANGED, ReasonCode.LOCK_NOT_OBTAINED, ReasonCode.OVERLOADED})
"""Reasons that ask for another run: only when that does not help a person has to."""


def named(ledger: Ledger, run_id: str, target: str, job: str, action: Action, outcome: Outcome) -> Outcome:  # noqa: PLR0917 - what names one try
    """Return the outcome with how many runs in a row ended so, when the one before did, too."""
    if outcome.reason_code not in COUNTED:
        return outcome
    count, since = ledger.in_a_row(run_id, target, job, action, outcome.reason_code.value)
    if count == 0 or since is None:
        return outcome
    return outcome.model_copy(update={"message": f"{outcome.message or ''} {said(count + 1, since)}".strip()})


def said(count: int, since: datetime) -> str:
    """Return how often it has ended so by now.

    >>> from datetime import UTC, datetime
    >>> said(2, datetime(2026, 11, 3, 2, tzinfo=UTC)), said(13, datetime(2026, 11, 3, 2, tzinfo=UTC))[:14]
    ('(for the 2nd run in a row, since 2026-11-03 02:00Z)', '(for the 13th ')
    """
    last = {1: "st", 2: "nd", 3: "rd"}.get(0 if count // 10 % 10 == 1 else count % 10, "th")
    return f"(for the {count}{last} run in a row, since {since:%Y-%m-%d %H:%M}Z)"
