"""Retention end to end on the command line: with the real ledger, the gates, approvals and undo."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from psycopg import sql

from tests.harness.postgres import attached, count, exists, months
from upkeep.cli import main

FLEET = """\
version: 1
targets:
  shop:
    engine: postgres
    connection: shop_db
    tables:
      public.logs:
        retain: {by: at, for: 30 days, then: delete, requires: REQUIRES}
      public.metrics:
        retain: {by: at, for: 7 days, then: archive, into: public.old, requires: REQUIRES}
"""
Upkeep = Callable[..., Any]


@pytest.fixture
def db(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection


@pytest.fixture
def upkeep(database: str, control_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Upkeep:
    """Runs a command and returns the target's part of its document."""
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", database)
    monkeypatch.setenv("AIRFLOW_CONN_UPKEEP_CONTROL", control_database)
    fleet = tmp_path / "fleet.yaml"

    def run(*arguments: str, requires: str = "nothing", status: int = 0) -> Any:
        fleet.write_text(FLEET.replace("REQUIRES", requires))
        undo = arguments[0] == "undo"
        result = CliRunner().invoke(main, ["--fleet", str(fleet), *arguments, *([] if undo else ["--json"])])
        assert result.exit_code == status, result.output
        if undo:
            return result.output
        return json.loads(result.stdout)["targets"][0]

    return run


@pytest.fixture
def tables(db: psycopg.Connection[Any]) -> None:
    months(db, 1, 6)
    db.execute("create table public.logs_new partition of public.logs for values from ('2024-07-01+00') to (maxvalue)")
    db.execute("insert into public.logs (at) select now() from generate_series(1, 500)")
    db.execute("create table public.metrics (id bigint, at timestamptz)")
    db.execute("create index on public.metrics (at)")
    db.execute("insert into public.metrics select n, now() - n * interval '1 minute' from generate_series(1, 20000) n")
    db.execute("create table public.old (like public.metrics)")
    db.execute("analyze")


def done(target: Any) -> list[tuple[str, str]]:
    return [(a["kind"], a["outcome"]["status"]) for a in target["actions"]]


@pytest.mark.usefixtures("tables")
def test_a_night_and_the_next(db: psycopg.Connection[Any], upkeep: Upkeep) -> None:
    first = upkeep("run", "data_retention")
    assert first["status"] == "ok", first
    assert done(first) == [("detach_partition", "done")] * 6 + [("archive_rows", "done"), ("analyze", "done")]
    assert [(g["stage"], g["success"]) for g in first["gates"]] == [("before", True), ("after", True)]
    assert count(db, "logs") == 500
    assert count(db, "metrics") + count(db, "old") == 20_000
    assert count(db, "metrics", "at < now() - interval '7 days 1 hour'") == 0
    second = upkeep("run", "data_retention")
    assert [
        a["kind"] for a in second["actions"] if a["kind"] not in ("archive_rows", "analyze")
    ] == []  # a minute may have passed
    assert {f["check"] for f in second["findings"]} == {"detached"}
    rewind(db, "logs_1", "logs_2")
    third = upkeep("run", "data_retention")
    assert ("drop_partition", "done") in done(third)
    assert not exists(db, "logs_1")
    assert not exists(db, "logs_2")
    assert exists(db, "logs_3")


@pytest.mark.usefixtures("tables")
def test_without_approval_nothing_goes(db: psycopg.Connection[Any], upkeep: Upkeep) -> None:
    waiting = upkeep("run", "data_retention", requires="approval")
    assert waiting["status"] == "awaiting_approval"
    assert {a["outcome"]["reason_code"] for a in waiting["actions"] if a["destructive"]} == {"needs_approval"}
    assert all(g["success"] for g in waiting["gates"]), waiting["gates"]
    assert count(db, "old") == 0
    assert len(attached(db, "logs")) == 7
    approved = upkeep("run", "data_retention", "--approve", requires="approval")
    assert {status for _, status in done(approved)} == {"done"}
    assert attached(db, "logs") == ["logs_new"]


@pytest.mark.usefixtures("tables")
def test_without_a_backup_nothing_goes(db: psycopg.Connection[Any], upkeep: Upkeep) -> None:
    waiting = upkeep("run", "data_retention", "--approve", requires="{backup: 26 hours}")
    assert {a["outcome"]["reason_code"] for a in waiting["actions"] if a["destructive"]} == {"needs_backup"}
    assert count(db, "old") == 0


@pytest.mark.usefixtures("tables")
def test_a_plan_changes_nothing(db: psycopg.Connection[Any], upkeep: Upkeep) -> None:
    planned = upkeep("plan", "data_retention")
    assert len(planned["actions"]) == 8
    assert all("outcome" not in a for a in planned["actions"])
    assert len(attached(db, "logs")) == 7


@pytest.mark.usefixtures("tables")
def test_undo(db: psycopg.Connection[Any], upkeep: Upkeep) -> None:
    first = upkeep("run", "data_retention")
    action = next(a for a in first["actions"] if "logs_3" in a["detail"])
    assert "1 target: 1 done" in upkeep("undo", action["id"])
    assert attached(db, "logs") == ["logs_3", "logs_new"]
    rewind(db, "logs_4")
    assert "reattached" not in {f["check"] for f in upkeep("plan", "data_retention")["findings"]}


@pytest.mark.usefixtures("tables")
def test_a_drifted_archive_stops_its_table_alone(db: psycopg.Connection[Any], upkeep: Upkeep) -> None:
    db.execute("alter table public.metrics add column unit text")
    night = upkeep("run", "data_retention", status=1)
    assert night["status"] == "partial"
    assert attached(db, "logs") == ["logs_new"]
    assert count(db, "old") == 0
    drift = next(f for f in night["findings"] if f["check"] == "archive_drift")
    assert drift["remedy"] == "alter table public.old add column unit text"
    before = next(g for g in night["gates"] if g["stage"] == "before")
    assert [f["subjects"] for f in before["failed"]] == [["public.metrics"]]


def rewind(db: psycopg.Connection[Any], *names: str) -> None:
    """Let the grace period of detached tables end."""
    for name in names:
        row = db.execute("select obj_description(%s::regclass, 'pg_class')", [name]).fetchone()
        assert row is not None
        marker = json.loads(row[0].removeprefix("upkeep: ")) | {"drop_after": "2024-01-01T00:00:00+00:00"}
        comment = sql.Literal("upkeep: " + json.dumps(marker))
        db.execute(sql.SQL("comment on table {} is {}").format(sql.Identifier(name), comment))
