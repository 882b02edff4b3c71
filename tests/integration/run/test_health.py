"""Health checks as the ledger lives them: a target that cannot be reached, a job that has stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from upkeep import connections
from upkeep.fleet import parse
from upkeep.ledger import Ledger
from upkeep.model import TargetReport, TargetStatus
from upkeep.run import looking
from upkeep.run.runner import Runner

FLEET = """
version: 1
targets:
  shop:
    engine: postgres
    connection: shop
    indexes: false
    backup: false
    health: {thresholds: {connections_used: {warning: 90 %, error: 98 %, critical: 99 %}}}
    tables: {public.logs: {partition: {by: at, every: 1 month, ahead: 3}}}
"""
Look = Callable[[], TargetReport]


@pytest.fixture
def ledger(control_database: str) -> Iterator[Ledger]:
    with Ledger.open(connections.parse(connections.CONTROL, control_database), migrate=True) as opened:
        yield opened


@pytest.fixture
def look(ledger: Ledger, database: str, monkeypatch: pytest.MonkeyPatch) -> Look:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", database)
    with psycopg.connect(database) as db:
        db.execute("create table logs (at timestamptz not null) partition by range (at)")
        db.execute("create table logs_all partition of logs for values from ('2000-01-01') to ('2100-01-01')")
    runner = Runner(parse(FLEET), ledger)

    def once() -> TargetReport:
        run_id = runner.start("health_check", datetime.now(UTC), trigger="test", actor="ada")
        return looking.look_at(runner, run_id, "shop")

    return once


def levels(report: TargetReport) -> dict[str, str]:
    return {f.check: f"{f.severity} {f.state}" for f in report.findings if f.status == "finding"}


def test_an_unreachable_target_is_told_graver_and_what_was_open_stays(
    look: Look, ledger: Ledger, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert levels(look()) == {}
    with psycopg.connect(database, autocommit=True) as db:
        db.execute("alter table logs detach partition logs_all")
        assert levels(look()) == {"partition_headroom": "CRITICAL new"}
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", "postgresql://nobody@127.0.0.1:1/nowhere")
        seen = [look() for _ in range(3)]
        assert [r.status.value for r in seen] == ["unreachable"] * 3
        assert [levels(r).get("reachable") for r in seen] == [None, "ERROR new", "CRITICAL standing"]
        still = {(i.issue.check, i.issue.severity.value) for i in ledger.issues(["shop"])}
        assert still == {("partition_headroom", "CRITICAL"), ("reachable", "CRITICAL")}
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", database)
        assert levels(look()) == {"partition_headroom": "CRITICAL standing"}
        db.execute("alter table logs attach partition logs_all for values from ('2000-01-01') to ('2100-01-01')")
    assert levels(look()) == {}
    assert ledger.issues(["shop"]) == []


def test_a_job_that_has_stopped_is_told_and_one_that_ended_is_well(
    look: Look, ledger: Ledger, control_database: str
) -> None:
    assert levels(look()) == {}, "a target that is new is nobody's fault"
    with psycopg.connect(control_database, autocommit=True) as db:
        db.execute("update upkeep.run_target set started_at = started_at - interval '40 hours'")
        assert levels(look()) == {"job_age": "WARNING new"}
        db.execute("update upkeep.run_target set started_at = started_at - interval '60 hours'")
        report = look()
        assert levels(report) == {"job_age": "CRITICAL standing"}
        finding = next(f for f in report.findings if f.check == "job_age" and f.subject == "partition_creation")
        assert "has never ended" in finding.summary
    run_id = ledger.start_run("partition_creation", datetime.now(UTC), trigger="test", actor="ada", options={})
    ledger.record_look(run_id, "shop", "partition_creation", at=datetime.now(UTC), status="ok", seen=(), unseen=())
    assert levels(look()) == {}


def test_a_target_that_nobody_backs_up_is_told(
    look: Look, ledger: Ledger, control_database: str, tmp_path: Path
) -> None:
    def with_key(text: str) -> dict[str, str]:
        runner = Runner(parse(FLEET.replace("    backup: false\n", text)), ledger)
        run_id = runner.start("health_check", datetime.now(UTC), trigger="test", actor="ada")
        return levels(looking.look_at(runner, run_id, "shop"))

    assert levels(look()) == {}
    assert with_key("") == {"backup_age": "WARNING new"}
    assert with_key("    backup: external\n") == {}
    declared = f"    backup: {{into: {tmp_path}}}\n"
    assert with_key(declared) == {}, "it is new"
    with psycopg.connect(control_database, autocommit=True) as db:
        db.execute("update upkeep.run_target set started_at = started_at - interval '30 hours'")
    assert with_key(declared)["backup_age"] == "WARNING new"
    with psycopg.connect(control_database, autocommit=True) as db:
        db.execute("update upkeep.run_target set started_at = started_at - interval '30 hours'")
    assert with_key(declared)["backup_age"] == "ERROR standing"
    assert "backup_age" not in [with_key("    backup: external\n") for _ in range(3)][-1]


def test_a_check_that_broke_is_no_sign_of_health(look: Look, database: str) -> None:
    """It waits for nobody: what another session holds is not looked at, and the target is not said to be well."""
    with psycopg.connect(database) as other:
        other.execute("create sequence tickets")
        other.execute("select nextval('tickets')")
        other.commit()
        assert look().status is TargetStatus.OK
        other.execute("drop sequence tickets")
        report = look()
        assert report.status is TargetStatus.PARTIAL
        assert [f.check for f in report.findings if f.status == "failed"] == ["sequence_exhaustion"]
        other.rollback()
    assert look().status is TargetStatus.OK
