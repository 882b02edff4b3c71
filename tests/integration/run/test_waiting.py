"""A run waits for the backup that it needs: while one is due or at work, until it ends, or its process is killed."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.harness.values import Clock, observation
from upkeep import connections, fleet
from upkeep.jobs.backup import publish
from upkeep.jobs.backup.copier import Taken
from upkeep.jobs.backup.job import artefact
from upkeep.jobs.backup.manifest import Contents
from upkeep.ledger import Ledger
from upkeep.model import Action, Plan, Requirement, TargetStatus
from upkeep.run.covering import cover
from upkeep.run.waiting import LONGEST, waits

NIGHT = datetime.now(UTC).replace(hour=2, minute=30, second=0, microsecond=0)
"""Today: the ledger has partitions for it."""
IDENTITY = "postgres:1:2"
FLEET = """
version: 1
targets:
  shop: {engine: postgres, connection: c, backup: {into: /srv/b}%s}
"""
AT_WORK = textwrap.dedent(
    """
    import sys, time
    from upkeep import connections
    from upkeep.run.lease import exclusive
    control = connections.parse("upkeep_control", sys.argv[1])
    with exclusive(control, "postgres:1:2", name=sys.argv[3], owner=f"{sys.argv[2]} (shop)", deadline_seconds=5):
        print("held", flush=True)
        time.sleep(600)
    """
)


@pytest.fixture
def clock() -> Clock:
    return Clock(NIGHT - datetime.now(UTC))


@pytest.fixture
def ledger(control_database: str, clock: Clock) -> Iterator[Ledger]:
    with Ledger.open(connections.parse("upkeep_control", control_database), migrate=True, clock=clock) as opened:
        yield opened


def plan(age: float | None = 26 * 3600) -> Plan:
    requires = Requirement(kind="backup", backup_age_seconds=age) if age else Requirement()
    action = Action.make(
        kind="delete_rows",
        subject="public.logs",
        args={},
        statements=(),
        reason="due",
        destructive=True,
        precondition="",
        requires=requires,
    )
    seen = observation(
        identity=IDENTITY, version="15", at=NIGHT, target="shop", engine="postgres", job="data_retention", frames={}
    )
    return Plan.make(seen, (action,))


@contextmanager
def at_work(control: str, run_id: str, name: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", AT_WORK, control, run_id, name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def begin(ledger: Ledger, job: str, trigger: str = "scheduled") -> str:
    run_id = ledger.start_run(job, NIGHT, trigger=trigger, actor="airflow", options={})
    ledger.start_target(run_id, "shop", "postgres")
    return run_id


def end_yesterday(ledger: Ledger, clock: Clock) -> None:
    """Have a backup begun and ended in the night before."""
    clock.ahead -= timedelta(days=1)
    ledger.finish_target(begin(ledger, "backup"), "shop", TargetStatus.OK, at=None, error=None)
    clock.ahead += timedelta(days=1)


def test_it_waits_for_what_is_due_or_at_work(ledger: Ledger, control_database: str, clock: Clock) -> None:
    def why(trigger: str = "scheduled", text: str = "", **more: Any) -> str | None:
        target = fleet.parse(FLEET % text).targets["shop"]
        asked = {"plan": plan(), "since": clock(), "now": clock(), **more}
        return waits(ledger, runs[trigger], target, asked["plan"], since=asked["since"], now=asked["now"])

    runs = {t: ledger.run(begin(ledger, "data_retention", t)) for t in ("scheduled", "manual")}
    assert why() is None  # it has never begun: it may not be switched on
    end_yesterday(ledger, clock)
    assert why() == "backup was due at 00:30 UTC, and has not begun"
    assert why(plan=plan(age=None)) is None  # nothing needs one
    assert why("manual") is None
    assert why(since=clock() - LONGEST) is None
    assert why(text=", mode: observe") is None
    assert why(text=', window: {start: "03:00", end: "04:00"}') is None
    ledger.pause("shop", actor="ada")
    assert why() is None
    ledger.resume("shop", actor="ada")
    clock.ahead += timedelta(hours=2)  # its DAG is off
    assert why() is None
    clock.ahead -= timedelta(hours=2)

    backup = begin(ledger, "backup")
    assert "backup is at work since" in (why("manual") or "")
    clock.ahead += timedelta(minutes=10)  # no trace of it for so long
    assert why() is None
    for name in ("backup", "verify"):  # while it copies, and while it restores
        with at_work(control_database, backup, name) as process:
            clock.ahead += timedelta(hours=1)
            assert "backup is at work since" in (why() or "")
            process.kill()
            process.wait()
            clock.ahead += timedelta(minutes=10)
            assert why() is None
    ledger.finish_target(backup, "shop", TargetStatus.FAILED, at=None, error="the disk is full")
    assert why() is None


def test_a_backup_that_comes_last_waits_for_the_others(ledger: Ledger, clock: Clock) -> None:
    tables = "tables: {logs: {retain: {by: at, for: 1 day, then: delete, requires: {backup: 26 hours}}}}"
    usual = fleet.parse(FLEET % f", {tables}").targets["shop"]
    last = fleet.parse((FLEET % f", {tables}").replace("/srv/b", "/srv/b, last: true")).targets["shop"]

    def why(target: fleet.Target, job: str = "backup", trigger: str = "scheduled") -> str | None:
        asked = plan() if job == "data_retention" else plan(age=None)
        return waits(ledger, runs[job, trigger], target, asked, since=clock(), now=clock())

    clock.ahead -= timedelta(hours=2)  # half past midnight
    jobs = [("backup", "scheduled"), ("backup", "manual"), ("data_retention", "scheduled")]
    runs = {(job, trigger): ledger.run(begin(ledger, job, trigger)) for job, trigger in jobs[:2]}
    for job, trigger in jobs[:2]:
        ledger.finish_target(runs[job, trigger].run_id, "shop", TargetStatus.OK, at=None, error=None)
    assert why(last) is None  # retention has never begun there
    clock.ahead -= timedelta(days=1)
    ledger.finish_target(begin(ledger, "data_retention"), "shop", TargetStatus.OK, at=None, error=None)
    clock.ahead += timedelta(days=1)
    assert why(last) == "data_retention is due at 02:30 UTC, and goes first (backup: last)"
    assert why(usual) is None
    assert why(last, trigger="manual") is None
    clock.ahead += timedelta(hours=2, minutes=1)
    assert why(last) == "data_retention was due at 02:30 UTC, and has not begun"
    runs[jobs[2]] = ledger.run(begin(ledger, "data_retention"))
    assert "data_retention is at work since" in (why(last) or "")
    assert why(last, "data_retention") is None
    ledger.finish_target(runs[jobs[2]].run_id, "shop", TargetStatus.OK, at=None, error=None)
    assert why(last) is None


def test_a_backup_covers_while_it_is_verified_and_lies_there(ledger: Ledger, clock: Clock, tmp_path: Path) -> None:
    def taken(name: str, hours: int) -> publish.Found:
        what = Taken(
            snapshot_at=NIGHT - timedelta(hours=hours),
            tool="pg_dump",
            tool_version="15",
            server_version="15",
            database="shop",
            position={"xmin": "5"},
            objects=(Contents(name="public.logs", rows=3),),
            needs={},
        )
        with publish.making(str(tmp_path), "shop", IDENTITY, name) as place:
            (place / "data" / "rows").write_bytes(b"rows")
            of = (name, "shop", "postgres", IDENTITY)
            return publish.publish(place, of, what, lambda _: "", lambda: None)

    def keep(found: publish.Found, **more: Any) -> None:
        ledger.keep_backup("r", "shop", artefact(found).model_copy(update=more))

    end_yesterday(ledger, clock)
    run = ledger.run(begin(ledger, "data_retention"))
    target = fleet.parse(FLEET % "").targets["shop"]
    assert cover(ledger, IDENTITY).why == "no verified backup of this database is recorded"
    old, young = taken("old", 20), taken("young", 2)
    keep(old)
    keep(young)
    assert "young, is unverified" in (cover(ledger, IDENTITY).why or "")
    assert waits(ledger, run, target, plan(), since=clock(), now=clock()) is not None
    keep(old, state="verified", verified_at=NIGHT)
    assert cover(ledger, IDENTITY).snapshot_at == NIGHT - timedelta(hours=20)
    assert waits(ledger, run, target, plan(), since=clock(), now=clock()) is None
    assert waits(ledger, run, target, plan(age=3600), since=clock(), now=clock()) is not None
    assert cover(ledger, "postgres:1:3").manifest is None  # another database
    keep(young, state="verified", verified_at=NIGHT)
    assert cover(ledger, IDENTITY).manifest == young.manifest
    (young.place / "data" / "rows").unlink()
    assert cover(ledger, IDENTITY).manifest == old.manifest
    keep(old, state="failed", verified_at=None)
    assert "no longer (whole)" in (cover(ledger, IDENTITY).why or "")
