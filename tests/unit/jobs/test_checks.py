"""When a value raises a finding, and when it ends it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from upkeep import fleet
from upkeep.checkfiles import Check, checks
from upkeep.errors import ConfigurationError
from upkeep.jobs.checks import Looked, Seen, difference, frames, judge
from upkeep.model import ENGINES, Finding, Observation, ServerFacts
from upkeep.run.settling import measured

NOW = datetime(2024, 6, 1, tzinfo=UTC)
FACTS = ServerFacts(identity="i", version="1", tested=True, replica=False, role="r", clock=NOW)
USED = Check(
    about="used", summary="{subject}: {value}", why="", remedy="free {subject}", unit="%", warning=80, error=90
)
LEFT = USED.model_copy(update={"falls": True, "warning": 20.0, "error": 10.0})
STATE = Check(about="state", summary="{state}", why="", remedy="mend", states={"lost": "CRITICAL", "slow": "WARNING"})


def once(check: Check, value: Any, earlier: list[Any], subject: str = "s") -> list[Finding]:
    said = {"state": value} if isinstance(value, str) else {"value": value}
    seen = [] if value is None else [Seen(check="c", subject=subject, **said)]
    observation = Observation(
        target="t", engine="postgres", job="j", at=NOW, server=FACTS, frames=frames(seen, [Looked(check="c")], earlier)
    )
    found = judge(observation, {"c": check})
    earlier.insert(0, {"measured": measured(found), "status": "ok"})
    return found


def after(check: Check, *values: Any) -> str:
    """Return what is raised after these samples: a severity, ``ok``, or nothing."""
    earlier: list[Any] = []
    for value in values:
        found = once(check, value, earlier)
    return found[-1].severity.value if found[-1].status == "finding" else found[-1].status.value


@pytest.mark.parametrize(
    ("values", "ends"),
    [
        ((79, 79), "ok"),
        ((80,), "INFO"),
        ((80, 80), "WARNING"),
        ((80, 50, 80), "WARNING"),
        ((80, 50, 50, 80), "INFO"),
        ((95, 81), "WARNING"),
        ((95, 95), "ERROR"),
        ((95, 95, 75), "ERROR"),
        ((95, 95, 75, 75), "ERROR"),
        ((95, 95, 75, 75, 75), "WARNING"),  # clear of the one threshold, not of the other
        ((85, 85, 71, 71, 71), "ok"),
        ((85, 85, 71, 71), "WARNING"),
        ((85, 85, 73, 73, 73, 73), "WARNING"),  # not clear of its threshold by a tenth
        ((95, 95, 85, 85, 85), "ERROR"),  # 81 is nine tenths of 90
        ((95, 95, 80, 80, 80), "WARNING"),
        ((95, 95, None), "ERROR"),  # no longer there: as long as a value that fell
        ((95, 95, None, None), "ERROR"),
        ((95, 95, None, None, None), "ok"),
    ],
)
def test_two_of_three_raise_and_three_in_a_row_end(values: tuple[Any, ...], ends: str) -> None:
    assert after(USED, *values) == ends


def test_what_falls_is_raised_below() -> None:
    assert after(LEFT, 20, 20) == "WARNING"
    assert after(LEFT, 21, 21) == "ok"
    assert after(LEFT, 5, 5, 21, 21, 21) == "WARNING"
    assert after(LEFT, 5, 5, 23, 23, 23) == "ok"


def test_states_are_raised_and_ended_at_once() -> None:
    assert after(STATE, "lost") == "CRITICAL"
    assert after(STATE, "lost", "slow") == "WARNING"
    assert after(STATE, "lost", "fine") == "ok"
    assert after(STATE, "lost", None) == "ok"


def test_a_look_that_could_not_see_is_no_sample() -> None:
    earlier: list[Any] = []
    once(USED, 95, earlier)
    earlier.insert(0, {"measured": {}, "status": "unreachable"})
    (found,) = once(USED, 95, earlier)
    assert found.severity.value == "ERROR"
    assert found.remedy == "free s"


def test_what_cannot_be_looked_at_is_said() -> None:
    looked = [Looked(check="c", why="no right"), Looked(check="d", why="broken", failed=True)]
    observation = Observation(target="t", engine="postgres", job="j", at=NOW, server=FACTS, frames=frames([], looked))
    found = judge(observation, {"c": USED, "d": STATE})
    assert [(f.status.value, f.severity.value) for f in found] == [("not_available", "WARNING"), ("failed", "WARNING")]
    assert "no right" in found[0].summary


def test_counters_are_compared_with_the_last_look_and_a_reset_judges_nothing() -> None:
    earlier = [{"measured": {}}, {"measured": {"c": {"server": {"hits": 10, "at": 100.0}}}}]
    assert difference(earlier, "c", {"hits": 14, "at": 160.0}) == {"hits": 4, "seconds": 60.0}
    assert difference(earlier, "c", {"hits": 9, "at": 160.0}) is None
    assert difference([], "c", {"hits": 9, "at": 160.0}) is None


@pytest.mark.parametrize("engine", ENGINES)
def test_the_files_of_checks_can_be_read(engine: str) -> None:
    for name, check in checks(engine, "health").items():
        assert check.about, name
        assert check.why, name
        assert check.remedy, name
        bounds = [b for b in (check.warning, check.error, check.critical) if b is not None]
        assert bounds == sorted(bounds, reverse=check.falls), name
        assert bounds or check.states, f"{name} can never be raised"


def target(health: str) -> fleet.Target:
    text = f"version: 1\ntargets:\n  t:\n    engine: postgres\n    connection: c\n    health: {health}\n"
    return fleet.parse(text).target("t")


def test_an_owner_moves_thresholds_and_ignores_checks() -> None:
    from upkeep.jobs.health_check import wanted  # noqa: PLC0415

    moved = wanted(
        target("{thresholds: {connections_used: {warning: 70 %}, transaction_long: {error: 10 minutes, warning: 60}}}")
    )
    assert moved["connections_used"].warning == 70
    assert moved["connections_used"].error == 90
    assert moved["transaction_long"].error == 600
    assert "wraparound" not in wanted(target("{ignore: [wraparound]}"))


@pytest.mark.parametrize(
    ("health", "says"),
    [
        ("{thresholds: {conections_used: {warning: 70 %}}}", "did you mean 'connections_used'"),
        ("{thresholds: {connections_used: {warning: 10 seconds}}}", "write '70 %'"),
        ("{thresholds: {transaction_long: {warning: 70 %}}}", "write '10 seconds'"),
        ("{thresholds: {connections_used: {warning: 95 %}}}", "must rise"),
        ("{ignore: [oplog_window]}", "no check 'oplog_window' on postgres"),
    ],
)
def test_a_wrong_threshold_is_refused_with_a_remedy(health: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        target(health)
