"""Gates: what passes, what fails, and that "could not look" is never fine."""

import json
from pathlib import Path
from typing import Any

import pytest

from upkeep import gates, settings
from upkeep.errors import ConfigurationError
from upkeep.gates import backend

SUITES = sorted((settings.include_dir() / "expectations").glob("*.json"))
SERVER_OK = {
    "subject": "server",
    "reachable": True,
    "is_replica": False,
    "disk_free_bytes": None,
    "version_tested": True,
}
TABLE_OK = {
    "subject": "public.a",
    "exists": True,
    "supported": True,
    "owned": True,
    "detach_pending": False,
    "blocking_seconds": 0,
}


def before(*, server: dict[str, Any] | None = None, tables: list[dict[str, Any]] | None = None) -> Any:
    frames = {"server": [SERVER_OK | (server or {})], "tables": [TABLE_OK] if tables is None else tables}
    return gates.evaluate("partition_creation", "postgres", "before", frames)


def test_all_is_well() -> None:
    result = before()
    assert result.success, result.failed
    assert result.evaluated == 9
    assert "the server is a primary, not a replica" in result.checked


@pytest.mark.parametrize(
    ("change", "label"),
    [
        ({"is_replica": True}, "server.is_replica"),
        ({"reachable": False}, "server.reachable"),
        ({"disk_free_bytes": 1024}, "server.disk_free_bytes"),
    ],
)
def test_a_wrong_server_stops_the_target(change: dict[str, Any], label: str) -> None:
    result = before(server=change)
    assert not result.success
    assert result.stops_target
    assert [f.expectation.split(":")[0] for f in result.failed] == [label]


@pytest.mark.parametrize("column", ["exists", "supported", "owned"])
def test_a_wrong_table_stops_itself_alone(column: str) -> None:
    result = before(tables=[TABLE_OK, TABLE_OK | {"subject": "public.b", column: False}])
    assert not result.success
    assert not result.stops_target
    assert result.stopped_subjects == {"public.b"}
    assert "public.b" in result.failed[0].summary
    assert result.failed[0].evidence["rows"][0]["subject"] == "public.b"
    assert result.failed[0].remedy


def test_a_value_that_is_not_available_fails_unless_the_suite_says_otherwise() -> None:
    assert before(server={"disk_free_bytes": None}).success
    result = before(tables=[TABLE_OK | {"owned": None}])
    assert not result.success
    assert result.stopped_subjects == {"public.a"}
    assert "not available" in result.failed[0].summary


def test_a_missing_column_is_a_failure() -> None:
    result = before(tables=[{k: v for k, v in TABLE_OK.items() if k != "owned"}])
    assert not result.success
    assert result.stops_target  # nobody knows which tables are concerned
    (failure,) = result.failed
    assert "could not look" in failure.summary


def test_an_expectation_that_raises_is_a_failure() -> None:
    result = before(tables=[TABLE_OK | {"blocking_seconds": "a while"}])
    assert not result.success
    assert "could not look" in result.failed[0].summary


@pytest.mark.parametrize(("server", "word"), [([], "no rows"), (None, "not delivered")])
def test_an_empty_or_missing_frame_is_a_failure(server: list[dict[str, Any]] | None, word: str) -> None:
    frames = {"tables": [TABLE_OK]} | ({} if server is None else {"server": server})
    result = gates.evaluate("partition_creation", "postgres", "before", frames)
    assert not result.success
    assert result.stops_target
    assert word in result.failed[0].summary


def test_a_frame_may_be_empty_when_the_suite_says_so() -> None:
    assert before(tables=[]).success


AFTER_OK = {
    "subject": "t",
    "ahead_missing": 0,
    "gaps": 0,
    "overlaps": 0,
    "default_rows": 0,
    "default_rows_unreported": 0,
}


def moved(copied: int | None, deleted: int | None) -> dict[str, Any]:
    return {
        "subject": "t",
        "kind": "move_default_rows",
        "status": "done",
        "rows_copied": copied,
        "rows_deleted": deleted,
    }


@pytest.mark.parametrize(
    ("outcomes", "success"),
    [
        ([], True),
        ([moved(None, None)], True),
        ([moved(7, 7), moved(0, 0)], True),
        ([moved(7, 6)], False),
        ([moved(7, None)], False),
        ([moved(2**60 + 1, 2**60)], False),
    ],
)
def test_conservation(outcomes: list[dict[str, Any]], success: bool) -> None:
    frames = {"tables": [AFTER_OK], "outcomes": outcomes}
    result = gates.evaluate("partition_creation", "postgres", "after", frames)
    assert result.success is success, result.failed
    assert result.stops_target is not success


def test_evidence_is_limited() -> None:
    tables = [TABLE_OK | {"subject": f"public.t{n}", "owned": False} for n in range(100)]
    result = before(tables=tables)
    assert len(result.failed[0].subjects) == 100
    assert len(result.failed[0].evidence["rows"]) == gates.EVIDENCE_ROWS
    assert "and 97 more" in result.failed[0].summary
    json.dumps(result.model_dump(mode="json"))


def test_a_frame_of_rights_to_change_alone_is_left_out_where_nothing_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "include" / "expectations"
    folder.mkdir(parents=True)
    entry = {
        "type": "expect_column_values_to_be_in_set",
        "kwargs": {"column": "writable", "value_set": [True]},
        "meta": {"expects": "e", "why": "w", "remedy": "r", "stops": "subject", "mode": "enforce"},
    }
    (folder / "job.before.json").write_text(json.dumps({"frames": {"a": [entry]}}))
    monkeypatch.setenv("UPKEEP_HOME", str(tmp_path))
    gates.load.cache_clear()
    frames: list[dict[str, Any]] = [{}, {"a": []}, {"a": [{"subject": "s", "writable": False}]}]
    for known in frames:
        assert gates.evaluate("job", "postgres", "before", known, observed=True).success
        assert not gates.evaluate("job", "postgres", "before", known).success
    gates.load.cache_clear()


def test_an_engine_adds_to_a_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "include" / "expectations"
    folder.mkdir(parents=True)
    entry = {
        "type": "expect_column_values_to_be_between",
        "kwargs": {
            "column": "n",
            "max_value": 1,
            "row_condition": {
                "type": "comparison",
                "column": {"name": "kind"},
                "operator": "==",
                "parameter": "x",
            },
        },
        "meta": {"expects": "n is small", "why": "because", "stops": "subject"},
    }
    (folder / "job.before.json").write_text(json.dumps({"frames": {"a": [entry]}}))
    more = {**entry, "kwargs": {"column": "n", "min_value": 0}}
    (folder / "job.before.tidb.json").write_text(json.dumps({"frames": {"a": [more]}}))
    monkeypatch.setenv("UPKEEP_HOME", str(tmp_path))
    gates.load.cache_clear()
    rows = [{"subject": "s", "n": -1, "kind": "x"}, {"subject": "t", "n": 5, "kind": "y"}]
    assert gates.evaluate("job", "postgres", "before", {"a": rows}).success
    assert gates.evaluate("job", "tidb", "before", {"a": rows}).stopped_subjects == {"s"}
    gates.load.cache_clear()


def test_no_suite_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="no gate suite"):
        gates.evaluate("cooking", "postgres", "before", {})


@pytest.mark.parametrize("path", SUITES, ids=lambda p: p.name)
def test_every_suite_is_one_that_great_expectations_can_build(path: Path) -> None:
    backend.context()  # its import warns of what others deprecate
    job, stage, *engine = path.stem.split(".")
    suite = gates.load(job, stage, engine[0] if engine else "none")
    for checks in suite.frames.values():
        assert len(backend.ge_suite(suite.name, tuple(range(len(checks))), checks).expectations) == len(checks)


def test_what_was_left_undone_on_purpose_is_not_judged_but_what_was_done_is() -> None:
    tables = [
        {
            "subject": "public.a",
            "ahead_missing": 3,
            "gaps": 0,
            "overlaps": 0,
            "default_rows": 0,
            "default_rows_unreported": 0,
        }
    ]
    lost = [{"subject": "public.a", "kind": "move_default_rows", "status": "done", "rows_copied": 5, "rows_deleted": 4}]
    judged = gates.evaluate("partition_creation", "postgres", "after", {"tables": tables, "outcomes": []})
    assert not judged.success
    undone = {"tables": tables, "outcomes": []}
    assert gates.evaluate("partition_creation", "postgres", "after", undone, left_out={"public.a"}).success
    doubled = {"tables": tables, "outcomes": lost}
    assert not gates.evaluate("partition_creation", "postgres", "after", doubled, left_out={"public.a"}).success


RETAINED = {
    "subject": "public.a",
    "exists": True,
    "age_column_exists": True,
    "age_indexed": True,
    "archive_exists": None,
    "archive_drift": None,
    "archive_location": None,
    "archive_space": None,
    "requirement": "approval",
    "writable": True,
}


@pytest.mark.parametrize(
    ("change", "columns"),
    [
        ({}, []),
        ({"archive_exists": True}, []),
        ({"archive_exists": False}, ["archive_exists"]),
        ({"archive_drift": "column x is missing"}, ["archive_drift"]),
        ({"archive_location": "usable", "archive_space": "enough"}, []),
        ({"archive_location": "not available", "archive_space": "not available"}, []),
        ({"archive_location": "not writable"}, ["archive_location"]),
        ({"archive_location": "usable", "archive_space": "too little"}, ["archive_space"]),
        ({"age_indexed": False}, ["age_indexed"]),
        ({"exists": False, "age_column_exists": False, "age_indexed": False, "writable": False}, ["exists"]),
        ({"age_column_exists": False, "age_indexed": False}, ["age_column_exists"]),
        ({"requirement": "prayer"}, ["requirement"]),
    ],
)
def test_retention_before(change: dict[str, Any], columns: list[str]) -> None:
    server = {"subject": "server", "is_replica": False, "longest_transaction_seconds": 3, "version_tested": True}
    frames = {"server": [{**server, "replication_lag_seconds": None}], "tables": [RETAINED | change]}
    result = gates.evaluate("data_retention", "postgres", "before", frames)
    assert [f.expectation.split(":")[0] for f in result.failed] == [f"tables.{c}" for c in columns]
    assert not result.stops_target


@pytest.mark.parametrize(
    ("outcome", "success"),
    [
        ({"rows_copied": 5, "rows_deleted": 5, "rows_archived": 5, "hash_source": "a", "hash_archive": "a"}, True),
        ({"rows_copied": 5, "rows_deleted": 5, "rows_archived": 4, "hash_source": "a", "hash_archive": "a"}, False),
        ({"rows_copied": 5, "rows_deleted": 5, "rows_archived": 5, "hash_source": "a", "hash_archive": "b"}, False),
        ({"rows_copied": 5, "rows_deleted": 5, "rows_archived": 5, "hash_source": "a", "hash_archive": None}, False),
        ({}, True),
    ],
)
def test_retention_after(outcome: dict[str, Any], success: bool) -> None:
    keys = ("rows_copied", "rows_deleted", "rows_archived", "hash_source", "hash_archive")
    row = {"subject": "public.a", "kind": "archive_rows", "status": "done", **dict.fromkeys(keys), **outcome}
    table = {"subject": "public.a", "due_remaining": 0, "late_arrivals": 3}
    result = gates.evaluate("data_retention", "postgres", "after", {"tables": [table], "outcomes": [row]})
    assert result.success is success, result.failed
