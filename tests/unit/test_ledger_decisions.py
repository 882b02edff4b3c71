from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from upkeep.errors import ApprovalRefusedError
from upkeep.ledger.decisions import Standing, require_decidable, require_usable
from upkeep.ledger.records import ApprovalState

DECIDED = datetime(2026, 3, 28, 20, 0, tzinfo=UTC)
EARLIER, LATER = 10, 30  # positions in the ledger; the decision is at 20


def standing(
    decision: str | None, *, planned: int = EARLIER, hours: float = 1.0, newest: str = "this", reason: str = ""
) -> Standing:
    return Standing(
        now=DECIDED + timedelta(hours=hours),
        planned_id=planned,
        newest_plan_id=newest,
        newest_run_id="run-of-newest",
        decision_id=20 if decision else None,
        decision=decision,
        actor="ada" if decision else None,
        reason=reason,
        decision_run_id="run-that-used" if decision else None,
        decided_at=DECIDED if decision else None,
    )


@pytest.mark.parametrize(
    ("given", "state", "may_use", "may_decide"),
    [
        (standing(None), "awaiting", False, True),
        (standing("granted"), "granted", True, True),
        (standing("granted", hours=23.999), "granted", True, True),
        (standing("granted", hours=24), "expired", False, True),
        (standing("granted", planned=LATER), "granted", True, True),  # planned again, the very same
        (standing("granted", newest="other"), "superseded", False, False),
        (standing(None, newest="other"), "superseded", False, False),
        (standing("used"), "used", False, False),
        (standing("used", hours=1000), "used", False, False),  # old, but never planned again
        (standing("used", planned=LATER), "awaiting", False, True),
        (standing("rejected"), "rejected", False, False),
        (standing("rejected", planned=LATER, hours=23.999), "rejected", False, False),
        (standing("rejected", planned=LATER, hours=24), "awaiting", False, True),
        (standing("rejected", hours=1000), "rejected", False, False),  # a no to what was planned up to then
    ],
)
def test_where_a_plan_stands(given: Standing, state: str, may_use: bool, may_decide: bool) -> None:
    assert given.state("this") is ApprovalState(state)
    for require, allowed in ((require_usable, may_use), (require_decidable, may_decide)):
        if allowed:
            require("this", given)
        else:
            with pytest.raises(ApprovalRefusedError):
                require("this", given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (standing(None), ["no approval of plan this is recorded", "--approve this"]),
        (standing("granted", hours=25), ["by ada", "expired at 2026-03-29 20:00:00 UTC", "again"]),
        (standing("used"), ["used by run run-that-used", "2026-03-28 20:00:00 UTC", "plan again"]),
        (standing("used", planned=LATER), ["used by run run-that-used", "counts once"]),
        (standing("granted", newest="other"), ["superseded by plan other of run run-of-newest"]),
        (standing("rejected", reason="too much"), ["rejected by ada", "(too much)", "24 hours"]),
        (standing("rejected", planned=LATER, hours=30), ["rejected by ada"]),
    ],
)
def test_a_refusal_says_why_and_what_to_do(given: Standing, words: list[str]) -> None:
    with pytest.raises(ApprovalRefusedError) as refused:
        require_usable("this", given)
    for word in words:
        assert word in str(refused.value)
