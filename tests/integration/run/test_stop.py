"""A run that is told to stop: Ctrl-C, SIGTERM, `upkeep pause`, the end of its window. What is committed stays.

(DESIGN 5.7; the statement is cancelled on the server, the next run goes on from there.)
"""

from __future__ import annotations

import json
import signal
from typing import Any

import psycopg
import pytest

from tests.harness import commands as help_
from tests.harness.cases import AT, CASES, ROWS, conserved, prepare, tune
from tests.harness.commands import Bed, Db, asleep, stopped
from upkeep.fleet import Window
from upkeep.run import applier

DELETES = CASES["delete rows"]
DUE = ROWS // 2
BATCH = 12
SLOW = f"""
    create function app.slow() returns trigger language plpgsql
        as 'begin perform pg_catalog.pg_sleep(60); return old; end';
    create trigger slow before delete on app.logs for each row
        when (old.id = {BATCH + 3}) execute function app.slow()
"""


@pytest.fixture
def db(bed: Bed) -> Any:
    assert bed.upkeep("init").status == 0
    with psycopg.connect(bed.target, autocommit=True) as connection:
        yield connection


def left(db: Db) -> int:
    row = db.execute("select count(*) from app.logs where at < '2024-02-01'").fetchone()
    return int(row[0]) if row else -1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_of_a_delete(bed: Bed, db: Db, number: int) -> None:
    prepare(db, DELETES)
    db.execute(SLOW)
    bed.declare({"app.logs": DELETES.policy.replace("requires", "cascades: declared, requires")})
    command = bed.start("run", "data_retention", *AT, before=tune(DELETES))
    help_.until(lambda: asleep(db) or command.ended)
    done = stopped(command, number)
    assert done.out == ""
    bed.wait_until_alone()
    assert not asleep(db)
    assert left(db) == DUE - BATCH
    run_id = done.err.partition("upkeep show ")[2].split()[0]
    report = bed.upkeep("show", run_id, "--json")
    assert report.outcomes()["app.logs"][0] == "cancelled", report.story
    assert report.target["status"] == "failed"
    (run,) = json.loads(bed.upkeep("runs", "--json").out)["runs"]
    assert run["targets"] == {"shop": "failed"}
    assert report.target["actions"][0]["outcome"]["rows"] == BATCH
    db.execute("drop trigger slow on app.logs")
    again = bed.upkeep("run", "data_retention", *AT)
    assert (again.status, again.target["status"]) == (0, "ok"), again.story
    assert left(db) == 0
    conserved(db, DELETES, "again")


def test_a_signal_while_a_detaching_waits_for_a_reader(bed: Bed, db: Db) -> None:
    case = CASES["detach concurrently, then drop"]
    prepare(db, case)
    bed.declare({"app.logs": case.policy})
    halt = help_.Halt(bed.folder)
    command = bed.start("run", case.job, *AT, stage=help_.once("concurrently", halt.here))
    halt.reached()
    with psycopg.connect(bed.target) as reader:
        reader.execute("select count(*) from app.logs")
        halt.go()
        help_.until(lambda: db.execute("select from pg_inherits where inhdetachpending").fetchall())
        stopped(command, signal.SIGINT)
        bed.wait_until_alone()
    again = bed.upkeep("run", case.job, *AT)
    assert again.status == 0, again.story
    assert db.execute("select to_regclass('app.logs_1')").fetchone() == (None,)
    conserved(db, case, "again")


def test_a_signal_while_others_hold_the_lock(bed: Bed, db: Db) -> None:
    case = CASES["create, rows moved at once"]
    prepare(db, case)
    bed.declare({"app.logs": case.policy})
    with psycopg.connect(bed.target) as reader:
        reader.execute("select count(*) from app.logs")
        command = bed.start("run", case.job, *AT)
        help_.until(lambda: db.execute("select from pg_locks where not granted").fetchall())
        stopped(command, signal.SIGTERM)
    bed.wait_until_alone()
    conserved(db, case, "stopped")


def test_a_signal_while_another_run_is_waited_for(bed: Bed, db: Db) -> None:
    prepare(db, DELETES)
    bed.declare({"app.logs": DELETES.policy})
    halt = help_.Halt(bed.folder)
    first = bed.start("run", "data_retention", *AT, stage=help_.once("ledger: intend", halt.here))
    halt.reached()
    second = bed.start("run", "data_retention", *AT[:2])
    help_.until(lambda: "being changed by" in second.said)
    stopped(second, signal.SIGINT)
    halt.go()
    assert first.wait().status == 0


def test_a_pause_from_another_process(bed: Bed, db: Db) -> None:
    prepare(db, DELETES)
    bed.declare({"app.logs": DELETES.policy})
    halt = help_.Halt(bed.folder)

    def before() -> None:
        tune(DELETES)()
        applier.PAUSE_CHECK_SECONDS = 0

    stage = help_.once("delete from", halt.here, after=1)
    command = bed.start("run", "data_retention", *AT, before=before, stage=stage)
    halt.reached()
    assert bed.upkeep("pause", "shop", "--reason", "release day").status == 0
    halt.go()
    done = command.wait()
    assert done.status == 0, done.story
    assert set(done.outcomes()["app.logs"]) == {"paused"}, done.story
    assert "release day" in done.target["actions"][0]["outcome"]["message"]
    assert left(db) == DUE - 2 * BATCH
    assert done.target["actions"][0]["outcome"]["rows"] == 2 * BATCH
    assert bed.upkeep("run", "data_retention", *AT).status == 0
    assert left(db) == DUE - 2 * BATCH
    assert bed.upkeep("resume", "shop").status == 0
    again = bed.upkeep("run", "data_retention", *AT)
    assert (again.status, again.target["status"], left(db)) == (0, "ok", 0), again.story


def test_the_window_closes_in_the_middle(bed: Bed, db: Db) -> None:
    prepare(db, DELETES)
    bed.declare({"app.logs": DELETES.policy}, more='window: {start: "01:00", end: "05:00"}')
    opened = [True]

    def before() -> None:
        tune(DELETES)()
        applier.PAUSE_CHECK_SECONDS = 0
        setattr(Window, "contains", lambda *_: opened[0])  # noqa: B010 - for this process

    def close() -> None:
        opened[0] = False

    done = bed.upkeep("run", "data_retention", *AT, before=before, stage=help_.once("delete from", close, after=1))
    assert done.status == 0, done.story
    assert set(done.outcomes()["app.logs"]) == {"outside_window"}, done.story
    assert "has closed; the next run goes on from here" in done.target["actions"][0]["outcome"]["message"]
    assert left(db) == DUE - 2 * BATCH
    again = bed.upkeep("run", "data_retention", *AT, before=before)
    assert (again.status, left(db)) == (0, 0), again.story
