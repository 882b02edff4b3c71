"""What today's plan lets through of an earlier one: examples."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.harness import values
from upkeep.jobs import contract
from upkeep.model import Action, Finding, Plan, ReasonCode, Requirement, Severity
from upkeep.run import veto

AT = datetime(2026, 11, 26, tzinfo=UTC)
SEEN = values.observation(
    target="shop", engine="postgres", job="data_retention", identity="i", version="15", at=AT, frames={}
)
ASKED = Requirement(kind="approval")


def rows(cut_off: int = 100, *, oid: int = 1, leaves: tuple[int, ...] = (1, 2), **more: Any) -> Action:
    """Rows of a table before a cut-off."""
    values: dict[str, Any] = {"reason": "old", "destructive": True, "precondition": "", "statements": (), "rows": 10}
    values |= {"requires": ASKED, "reach": cut_off} | more
    args = {"cut_off": str(cut_off), "leaves": [{"oid": leaf} for leaf in leaves]}
    return Action.make(kind="delete_rows", subject="t", args=args, intent={"oid": oid}, **values)


def held(action: Action, *today: Action, approved: bool = True, findings: tuple[Finding, ...] = ()) -> Action:
    plan = veto.restrict(Plan.make(SEEN, [action]), Plan.make(SEEN, today, findings), approved=approved)
    return plan.actions[0]


def test_the_same_goes_through_as_it_is() -> None:
    assert held(rows(), rows()) == rows()


def test_estimates_that_moved_change_nothing() -> None:
    assert held(rows(), rows(rows=12)) == rows()


@pytest.mark.parametrize(("today", "cut_off"), [(50, "50"), (100, "100"), (150, "100")])
def test_the_earlier_cut_off_counts(today: int, cut_off: str) -> None:
    assert held(rows(100), rows(today)).args["cut_off"] == cut_off


@pytest.mark.parametrize(("today", "left"), [((1, 2), [1, 2]), ((2,), [2]), ((2, 3), [2]), ((3,), None), ((), None)])
def test_only_tables_that_both_name_are_touched(today: tuple[int, ...], left: list[int] | None) -> None:
    found = held(rows(), rows(leaves=today))
    if left is None:
        assert found.blocked is not None
        assert found.blocked[0] is ReasonCode.STATE_CHANGED
    else:
        assert [leaf["oid"] for leaf in found.args["leaves"]] == left


def test_what_today_does_not_hold_is_skipped_with_todays_reason() -> None:
    said = Finding.of("c", "t", Severity.ERROR, "a view reads it")
    for today in ((), (rows(oid=2),)):
        code, text = held(rows(), *today, findings=(said,)).blocked or (None, "")
        assert code is ReasonCode.STATE_CHANGED
        assert "a view reads it" in text


def test_what_today_refuses_is_refused() -> None:
    blocked = (ReasonCode.NOT_SUPPORTED, "a trigger would fire")
    assert held(rows(), rows(blocked=blocked)).blocked == blocked


@pytest.mark.parametrize(
    ("then", "now", "kind", "age"),
    [
        (ASKED, Requirement(), "approval", None),
        (Requirement(), ASKED, "approval", None),
        (ASKED, Requirement(kind="backup", backup_age_seconds=60), "backup", 60),
        (
            Requirement(kind="backup", backup_age_seconds=10),
            Requirement(kind="backup", backup_age_seconds=60),
            "backup",
            10,
        ),
    ],
)
def test_the_stricter_requirement_counts(then: Requirement, now: Requirement, kind: str, age: float | None) -> None:
    found = held(rows(requires=then), rows(requires=now))
    assert (found.requires.kind, found.requires.backup_age_seconds) == (kind, age)


def test_a_late_plan_that_nobody_approved_waits_where_today_asks() -> None:
    code, _ = held(rows(requires=Requirement()), rows(), approved=False).blocked or (None, "")
    assert code is ReasonCode.NEEDS_APPROVAL


def test_an_unknown_count_needs_a_new_plan() -> None:
    code, _ = held(rows(rows=None), rows()).blocked or (None, "")
    assert code is ReasonCode.OVER_LIMIT


def test_what_the_owner_expects_today_is_asked_for() -> None:
    asked = rows()
    today = asked.model_copy(update={"args": {**asked.args, "quality": {"suite": "new"}}})
    assert held(asked, today).args["quality"] == {"suite": "new"}


def test_what_only_follows_goes_with_what_it_follows() -> None:
    first = rows()
    values = {"reason": "", "precondition": "", "statements": (), "destructive": False}
    after = Action.make(kind="analyze", subject="t", args={"n": 1}, after=(first.id,), **values)
    plan = Plan.make(SEEN, [first, after])
    assert [a.blocked for a in veto.restrict(plan, Plan.make(SEEN, [rows()]), approved=True).actions] == [None, None]
    assert all(a.blocked for a in veto.restrict(plan, Plan.make(SEEN, []), approved=True).actions)


def test_a_plan_of_an_earlier_release_is_planned_again() -> None:
    assert held(rows().model_copy(update={"intent": ""}), rows()).blocked is not None


@pytest.mark.parametrize(("planned", "most"), [(0, 1_000), (31, 1_031), (10_000, 11_000), (1_000_000, 1_100_000)])
def test_how_many_more_may_go(planned: int, most: int) -> None:
    assert contract.tolerated(planned) == most


def test_what_it_must_not_run_beside_is_todays_word_too() -> None:
    today = rows(not_during=("backup",))
    assert held(rows(), today).not_during == ("backup",)  # planned by an earlier release
    assert held(rows(not_during=("backup", "warm")), today).not_during == ("backup", "warm")
