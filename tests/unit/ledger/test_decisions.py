from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from upkeep import words
from upkeep.errors import ApprovalRefusedError
from upkeep.ledger.control import Row
from upkeep.ledger.decisions import Standing, fate, require_decidable, require_usable
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


def fated(*events: str, planned: int = EARLIER, hours: float = 1.0, newer: bool = False, waits: bool = True) -> Row:
    """Return a row of ``plan_fates``: decisions are at 20, 21 …, a newer plan came half an hour later."""
    return {
        "now": DECIDED + timedelta(hours=hours),
        "plan_id": "this",
        "planned_id": planned,
        "planned_by": "run-that-planned",
        "waits": waits,
        "decisions": [
            {
                "id": 20 + n,
                "event": event,
                "actor": "ada",
                "recorded_at": DECIDED.isoformat(),
                "reason": "quarter end" if event == "rejected" else "",
                "run_id": "run-that-used" if event == "used" else "run-that-planned",
            }
            for n, event in enumerate(events)
        ],
        "superseded_at": DECIDED + timedelta(minutes=30) if newer else None,
        "newest_plan_id": "other" if newer else "this",
        "newest_run_id": "run-of-newest" if newer else "run-that-planned",
    }


@pytest.mark.parametrize(
    ("row", "state", "by", "run_id", "superseded_by"),
    [
        (fated(), "awaiting", None, None, None),
        (fated(waits=False), None, None, None, None),
        (fated(waits=False, newer=True), None, None, None, None),
        (fated("granted"), "granted", "ada", None, None),
        (fated("granted", hours=24), "expired", "ada", None, None),
        (fated("granted", newer=True), "superseded", None, "run-of-newest", "other"),
        (fated("rejected"), "rejected", "ada", None, None),
        (fated("rejected", newer=True), "rejected", "ada", None, "other"),  # a person's word stays the last one
        (fated("rejected", planned=LATER, hours=24), "awaiting", None, None, None),
        (fated(newer=True), "superseded", None, "run-of-newest", "other"),
        (fated("granted", "used"), "used", "ada", "run-that-used", None),
        (fated("granted", "used", newer=True), "used", "ada", "run-that-used", "other"),
        (fated("granted", "used", planned=LATER), "awaiting", None, None, None),  # the very same, planned again
        (fated("granted", "used", planned=LATER, newer=True), "superseded", None, "run-of-newest", "other"),
    ],
)
def test_what_became_of_a_plan(
    row: Row, state: str | None, by: str | None, run_id: str | None, superseded_by: str | None
) -> None:
    found = fate(row)
    if state is None:
        assert found is None
        return
    assert found is not None
    assert (found.state, found.by, found.run_id, found.superseded_by) == (state, by, run_id, superseded_by)
    assert found.planned_by == "run-that-planned"
    assert found.reason == ("quarter end" if state == "rejected" else None)
    assert found.document().keys() >= {"state", "by", "at", "run_id"}
    text, tone = words.fate(found)
    assert tone != "good"
    assert all(word in text for word in (by, superseded_by if state == "superseded" else "", run_id) if word)


def test_the_run_that_used_an_approval_keeps_its_word() -> None:
    row = fated("granted", "used", planned=LATER, newer=True)
    found = fate(row, "run-that-used")
    assert found is not None
    assert (found.state, found.by, found.run_id) == ("used", "ada", "run-that-used")
