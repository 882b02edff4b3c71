"""Which index stands for which, and since when nothing has used one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from upkeep import fleet
from upkeep.errors import ConfigurationError
from upkeep.fleet.policies.indexes import IndexesPolicy
from upkeep.jobs.index_analysis import usage
from upkeep.jobs.index_analysis.indexes import Index, duplicates, redundant
from upkeep.jobs.index_analysis.usage import Counted, Use
from upkeep.model.intervals import Duration

AT = datetime(2024, 6, 15, 5, tzinfo=UTC)
DAYS = Duration.parse("35 days")


def index(name: str, *keys: str, age: int = 1, **more: Any) -> Index:
    shape = str((keys, more.get("more"), more.get("rest"), more.get("unique")))
    return Index(subject=name, table="t", age=age, keys=keys, **{"shape": shape, "rest": "", **more})


def pairs(found: Any) -> dict[str, str]:
    return {pair.index.subject: pair.twin.subject for pair in found}


def test_what_is_bound_stays_then_the_oldest_and_what_cannot_serve_stands_for_nobody() -> None:
    one, two, three = index("one", "a", age=1), index("two", "a", age=2), index("three", "a", age=3, bound="it is dear")
    assert pairs(duplicates([two, one])) == {"two": "one"}
    assert pairs(duplicates([one, two, three])) == {"one": "three", "two": "three"}
    broken, hidden = index("broken", "a", age=0, valid=False), index("hidden", "a", age=0, hidden=True)
    assert pairs(duplicates([broken, two, hidden])) == {"broken": "two", "hidden": "two"}
    assert pairs(duplicates([broken, hidden])) == {}
    assert pairs(duplicates([index("dear", "a", valid=False, bound="it is dear"), two])) == {"dear": "two"}


@pytest.mark.parametrize(
    ("narrow", "wide", "stays"),
    [
        ({}, {"keys": ("a", "b")}, "wide"),
        ({}, {"keys": ("b", "a")}, None),
        ({}, {"keys": ("a desc", "b")}, None),
        ({"unique": True}, {"keys": ("a", "b")}, None),
        ({"bound": "it is dear"}, {"keys": ("a", "b")}, None),
        ({"hidden": True}, {"keys": ("a", "b")}, None),
        ({"prefixes": False}, {"keys": ("a", "b")}, None),
        ({}, {"keys": ("a", "b"), "hidden": True}, None),
        ({}, {"keys": ("a", "b"), "valid": False}, None),
        ({}, {"keys": ("a", "b"), "rest": "where c"}, None),
        ({"rest": "where c"}, {"keys": ("a", "b"), "rest": "where c"}, "wide"),
        ({"more": frozenset("c")}, {"keys": ("a", "b")}, None),
        ({"more": frozenset("c")}, {"more": frozenset("cd")}, "wide"),
        ({}, {"unique": True}, "wide"),
    ],
)
def test_what_begins_with_the_same_columns_covers(
    narrow: dict[str, Any], wide: dict[str, Any], stays: str | None
) -> None:
    keys = wide.pop("keys", ("a",))
    found = pairs(redundant([index("narrow", "a", **narrow), index("wide", *keys, age=2, **wide)]))
    assert found.get("narrow") == stays


def test_of_two_that_differ_in_storage_one_stays() -> None:
    one, two = index("one", "a", age=1, shape="x"), index("two", "a", age=2, shape="y")
    assert pairs(redundant([one, two])) == pairs(redundant([two, one])) == {"two": "one"}


def judged(use: Use, before: dict[str, Any] | None) -> Any:
    rows = [] if before is None else usage.rows({"i": before})
    counted = Counted({"i": use}, rows)
    found = {f.subject: f for f in usage.judge([index("i", "a")], counted, AT, DAYS, {"i": "drop it"})}
    return found["i"]


def said(days: float, **more: Any) -> dict[str, Any]:
    since = (AT - timedelta(days=days)).isoformat()
    return {"scans": 3, "since": since, "counters": "x", "proven": False, **more}


@pytest.mark.parametrize(
    ("use", "before", "status", "days"),
    [
        (Use(3, "x"), None, "ok", 0),  # nothing is known of it yet
        (Use(3, "x"), said(34.9), "ok", 34.9),
        (Use(3, "x"), said(35), "finding", 35),
        (Use(4, "x"), said(90, proven=True), "ok", 0),  # used
        (Use(3, "y"), said(90), "ok", 0),  # counters began anew
        (Use(0, "y"), said(90, proven=True), "insufficient_evidence", 0),
        (Use(0, "y"), said(1, counters="y", scans=0, proven=True), "insufficient_evidence", 1),
        (Use(1, "y"), said(90, proven=True), "ok", 0),  # used since they began anew
        (Use(0, "x", (AT - timedelta(days=40)).isoformat()), None, "finding", 40),  # the server's own word
        (Use(1, "x", (AT - timedelta(days=40)).isoformat()), None, "ok", 0),
        (Use(0, "x", (AT - timedelta(days=2)).isoformat()), said(90), "ok", 2),
    ],
)
def test_evidence_is_an_unbroken_chain(use: Use, before: dict[str, Any] | None, status: str, days: float) -> None:
    finding = judged(use, before)
    assert finding.status == status
    assert AT - datetime.fromisoformat(finding.evidence["since"]) == timedelta(days=days)


def test_the_policy_holds_everywhere_and_says_what_comes_later() -> None:
    head = "version: 1\ntargets:\n  a:\n    connection: c\n    engine: "
    default = IndexesPolicy.of(fleet.parse(f"{head}mongo\n").target("a"))
    assert default is not None
    assert (str(default.unused_after), default.drop_duplicates, default.keep) == ("35 days", "approval", [])
    assert IndexesPolicy.of(fleet.parse(f"{head}redis\n").target("a")) is None
    assert IndexesPolicy.of(fleet.parse(f"{head}tidb\n    indexes: false\n").target("a")) is None
    for wrong, text in (
        ("{drop_duplicates: always}", "'always' is not possible; write 'approval' or 'never'"),
        ("{slow: 1 second}", "slow: advice on missing indexes is reserved for a later job; leave it out"),
        ("{unused_after: long}", "not a duration"),
        ("{keep: app.*}", "list"),
    ):
        with pytest.raises(ConfigurationError, match=r"fleet.*:6: targets\.a\.indexes") as caught:
            fleet.parse(f"{head}postgres\n    indexes: {wrong}\n")
        assert text in str(caught.value)
