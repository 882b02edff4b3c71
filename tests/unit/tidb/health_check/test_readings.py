"""What one server cannot show: stores that leave or die, a majority lost, an index that is being written, slowly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pymysql
import pytest

from upkeep.tidb.health_check import _blind, readings

NOW = datetime(2026, 5, 5, 12, tzinfo=UTC)


def members(now: list[tuple[str, str]], stores: dict[str, str], *before: Any) -> dict[str, str]:
    rows: list[dict[str, Any]] = [{"kind": kind, "instance": instance} for kind, instance in now]
    rows += [{"instance": instance, "state": state} for instance, state in stores.items()]
    earlier = [{"measured": {"member_state": {str(n): row for n, row in enumerate(before)}}}] if before else []
    return {seen.subject: seen.state for seen in readings.members(rows, earlier, NOW)}


def was(kind: str, instance: str, state: str = "there", **more: str) -> dict[str, str]:
    return {"kind": kind, "instance": instance, "state": state, **more}


def test_a_store_is_what_the_placement_driver_thinks_of_it() -> None:
    kvs = [("tikv", name) for name in "abcd"]
    seen = members(kvs, {"a": "Up", "b": "Disconnected", "c": "Down", "d": "Offline"})
    assert seen == {
        "tikv a": "there",
        "tikv b": "disconnected",
        "tikv c": "missing",
        "tikv d": "leaving",
        "tikv": "without a majority",
    }
    assert members(kvs[:3], {"a": "Up", "b": "Up", "c": "Down"})["tikv"] == "with a majority"


def test_who_was_there_is_missed_until_it_is_known_that_it_was_taken_out() -> None:
    pds = [("pd", "a"), ("pd", "b")]
    assert members(pds, {}, was("pd", "c")) == {
        "pd a": "there",
        "pd b": "there",
        "pd c": "missing",
        "pd": "with a majority",
    }
    assert members(pds[:1], {}, was("pd", "b"), was("pd", "c"))["pd"] == "without a majority"
    long_ago = was("pd", "c", "missing", since=(NOW - timedelta(days=8)).isoformat())
    assert members(pds, {}, long_ago, was("tikv", "x", "leaving"))["pd"] == "complete"
    lately = was("pd", "c", "missing", since=(NOW - timedelta(days=6)).isoformat())
    assert members(pds, {}, lately)["pd c"] == "missing"


def changes(count: int, then: dict[str, Any] | None = None, *, behind: int = 0) -> Any:
    row = {"db_name": "app", "table_name": "t", "job_type": "add index", "state": "running", "seconds": 7200}
    rows = [{**row, "job_id": 7 + n, "row_count": count} for n in range(behind + 1)]
    earlier = [{"measured": {"ddl_stuck": {"app.t": then}}}] if then else []
    (seen,) = readings.schema_changes(rows, earlier, NOW, 3600)
    return seen


def test_an_index_that_is_being_written_is_not_stuck() -> None:
    first = changes(100)
    assert first.value == 7200
    moved = changes(200, {"job_id": 7, "row_count": 100, "since": first.evidence["since"]})
    assert moved.value == 0
    since = (NOW - timedelta(minutes=5)).isoformat()
    assert changes(200, {"job_id": 7, "row_count": 200, "since": since}).value == 300, "stuck since it last moved"
    assert changes(200, {"job_id": 6, "row_count": 200, "since": since}).value == 7200, "another change"


def test_what_waits_behind_a_change_is_blocked_only_when_that_is_late() -> None:
    assert changes(1, behind=2).state == "blocks others"
    assert changes(2, {"job_id": 7, "row_count": 1, "since": NOW.isoformat()}, behind=2).state == ""


@pytest.mark.parametrize(("text", "seconds"), [("10m0s", 600), ("24h0m0s", 86_400), ("1h0m0.5s", 3600.5)])
def test_lengths_of_go(text: str, seconds: float) -> None:
    assert readings.seconds(text) == seconds


@pytest.mark.parametrize(
    ("enabled", "oldest", "says"),
    [(0, 0, "switched off"), (1, 90_000, "a transaction is open for 25.0 hours"), (1, 60, "a changefeed may")],
)
def test_what_holds_old_versions(enabled: int, oldest: int, says: str) -> None:
    row = {"safe_point": "20260504-11:00:00.000 +0000", "last_run": "x", "life_time": "10m0s", "age": 90_000}
    (seen,) = readings.collection({**row, "enabled": enabled, "oldest_transaction": oldest})
    assert seen.value == 89_400
    assert says in seen.evidence["held"]


def test_why_a_check_could_not_look() -> None:
    def look(*args: Any) -> Any:
        return _blind("x", pymysql.OperationalError(*args), "grant process on *.* to me")

    refused = look(1105, "other error: [planner:1227]Access denied; you need PROCESS")
    assert refused.why.endswith("grant process on *.* to me")
    old = look(1146, "Table 'information_schema.cluster_memory_usage' doesn't exist")
    assert (old.failed, old.minds) == (False, False)
    assert look(3024, "maximum execution time exceeded").failed
    assert look(9005, "Region is unavailable").failed
