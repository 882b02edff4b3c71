"""What must not run beside a backup: it is left while one runs, tried once more, and holds the next one back.

The backup is a process of its own that holds the lease; everything else is a whole run.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from local.servers.postgres import postgres_bin, postgres_environment
from tests.harness import commands as help_
from tests.harness.cases import AT, CASES, CREATE, MARCH, PARENT, ROWS, prepare, tune
from tests.harness.commands import Bed, Db
from upkeep import connections, engines
from upkeep.errors import LeaseBusyError
from upkeep.run.lease import exclusive

HELD_BACK = CASES["create, rows moved at once"]
"""Locks the default partition, which a dump reads."""
FREE = [text.replace("app.logs", "app.other") for text in (PARENT, MARCH)]
"""Without a default partition nothing that a dump reads is locked."""
DELETES = CASES["delete rows"]
APPROVED = DELETES.policy.replace("requires: nothing", "requires: approval")
DUMPS = "select from pg_stat_activity where datname = current_database() and application_name = 'pg_dump'"
BACKUP = textwrap.dedent(
    """
    import sys, time
    from upkeep import connections, engines
    from upkeep.run.lease import exclusive
    control, target = (connections.parse(*pair) for pair in (("upkeep_control", sys.argv[1]), ("shop_db", sys.argv[2])))
    with engines.engine("postgres").open(target, application="backup") as session:
        identity = session.identity
    with exclusive(control, identity, name="backup", owner="backup 7 (shop)", deadline_seconds=5):
        print("held", flush=True)
        time.sleep(600)
    """
)


@pytest.fixture
def db(bed: Bed) -> Any:
    with psycopg.connect(bed.target, autocommit=True) as connection:
        yield connection


@pytest.fixture
def two(bed: Bed, db: Db) -> Db:
    """Two tables that lack a partition each."""
    prepare(db, HELD_BACK)
    for statement in FREE:
        db.execute(statement)
    bed.declare({"app.logs": CREATE, "app.other": CREATE})
    return db


@contextmanager
def backup(bed: Bed) -> Iterator[int]:
    """Hold the backup lease of the database, known under another address, in another process; gives its id."""
    target = bed.target.replace("127.0.0.1", "localhost")
    with subprocess.Popen(
        [sys.executable, "-c", BACKUP, bed.control, target], stdout=subprocess.PIPE, text=True
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            yield holder.pid
        finally:
            holder.kill()


def kill(bed: Bed, pid: int) -> Callable[[], None]:
    """Return what ends the backup outright, and waits until the server has seen it."""

    def do() -> None:
        os.kill(pid, signal.SIGKILL)
        with psycopg.connect(bed.control, autocommit=True) as control:
            help_.until(lambda: len([s for s in help_.sessions(control) if s.startswith("upkeep lease:")]) == 1)

    return do


def partitions(db: Db, table: str) -> int:
    (row,) = db.execute("select count(*) from pg_inherits where inhparent = %s::regclass", [table]).fetchall()
    return int(row[0])


def due(db: Db) -> int:
    (row,) = db.execute("select count(*) from app.logs where at < '2024-02-01'").fetchall()
    return int(row[0])


def test_it_is_left_and_the_rest_goes_on(bed: Bed, two: Db) -> None:
    with backup(bed):
        left, stages = bed.stages("run", HELD_BACK.job, *AT)
        assert left.status == 3, left.story
        assert left.target["status"] == "partial", left.story
        assert left.outcomes() == {"app.logs": ["lease_busy"], "app.other": ["done"]}, left.story
        (message,) = [a["outcome"].get("message") for a in left.target["actions"] if a["subject"] == "app.logs"]
        assert "is being backed up by backup 7 (shop) since 20" in message
        assert (partitions(two, "app.logs"), partitions(two, "app.other")) == (2, 2)
        tries = [n for n, text in enumerate(stages) if text == "ledger: lease_share"]
        begun = [n for n, text in enumerate(stages) if text == "ledger: intend"]
        assert len(tries) == 2, stages
        assert len(begun) == 1, stages
        assert tries[0] < begun[0] < tries[1], "the rest first, then once more"
    again = bed.upkeep("run", HELD_BACK.job, *AT)  # a backup that was killed holds nothing
    assert again.status == 0, again.story
    assert (partitions(two, "app.logs"), help_.rows_of(two)) == (3, dict.fromkeys(range(1, ROWS + 1), 1))


def test_a_dump_of_somebody_else_is_seen_and_is_not_harmed(bed: Bed, db: Db, tmp_path: Path) -> None:
    prepare(db, DELETES)
    db.execute("create table app.held ()")
    bed.declare({"app.logs": DELETES.policy})
    command = [postgres_bin() / "pg_dump", "--format=directory", "--jobs=2", f"--file={tmp_path / 'dump'}", bed.target]
    with psycopg.connect(bed.target) as holder:
        holder.execute("lock table app.held in access exclusive mode")
        with subprocess.Popen(command, env=postgres_environment()) as dump:
            try:
                help_.until(lambda: bool(db.execute(DUMPS).fetchall()))
                left = bed.upkeep("run", DELETES.job, *AT)
            finally:
                holder.rollback()
            assert dump.wait(30) == 0
    assert left.status == 3, left.story
    assert left.outcomes() == {"app.logs": ["lease_busy", "dependency_not_done"]}, left.story
    assert "pg_dump (pid" in left.story
    assert due(db) == ROWS // 2
    again = bed.upkeep("run", DELETES.job, *AT)
    assert (again.status, due(db)) == (0, 0), again.story


def test_it_is_done_when_the_backup_has_ended_meanwhile(bed: Bed, two: Db) -> None:
    with backup(bed) as pid:
        done = bed.upkeep("run", HELD_BACK.job, *AT, stage=help_.once("ledger: lease_share", kill(bed, pid), after=1))
    assert done.status == 0, done.story
    assert done.outcomes() == {"app.logs": ["done"], "app.other": ["done"]}, done.story
    assert (partitions(two, "app.logs"), partitions(two, "app.other")) == (3, 2)
    bed.wait_until_alone()


@pytest.mark.parametrize("ends", [False, True])
def test_what_follows_it_waits_with_it(bed: Bed, db: Db, ends: bool) -> None:
    prepare(db, DELETES)
    bed.declare({"app.logs": DELETES.policy})
    with backup(bed) as pid:
        stage = help_.once("ledger: lease_share", kill(bed, pid), after=1) if ends else None
        done = bed.upkeep("run", DELETES.job, *AT, stage=stage)
    expected = ["done", "done"] if ends else ["lease_busy", "dependency_not_done"]
    assert done.outcomes() == {"app.logs": expected}, done.story
    assert (done.status, due(db)) == ((0, 0) if ends else (3, ROWS // 2))


def test_a_backup_waits_until_it_has_ended(bed: Bed, db: Db) -> None:
    prepare(db, DELETES)
    bed.declare({"app.logs": DELETES.policy})
    halt, waits = help_.Halt(bed.folder), threading.Event()
    running = bed.start("run", DELETES.job, *AT, before=tune(DELETES), stage=help_.once("delete from", halt.here))
    halt.reached()
    control = connections.parse("upkeep_control", bed.control)
    with engines.engine("postgres").open(connections.parse("shop_db", bed.target), application="backup") as session:
        identity = session.identity

    def begin(seconds: float) -> int:
        with exclusive(
            control,
            identity,
            name="backup",
            owner="backup",
            deadline_seconds=seconds,
            waiting=lambda _: waits.set(),
        ):
            return due(db)

    with pytest.raises(LeaseBusyError, match=r"being changed by .* \(shop\) since"):
        begin(0)
    waits.clear()
    with ThreadPoolExecutor(1) as pool:
        begun = pool.submit(begin, 60)
        assert waits.wait(20)
        halt.go()
        assert begun.result(60) == 0, "it began while rows went"
    done = running.wait()
    assert done.status == 0, done.story


@pytest.mark.parametrize("moment", ["ledger: lease_share", "delete from", "ledger: lease_unshare"])
def test_without_the_control_database_it_stops(bed: Bed, db: Db, moment: str) -> None:
    prepare(db, DELETES)
    bed.declare({"app.logs": DELETES.policy})

    def end() -> None:
        with psycopg.connect(bed.control, autocommit=True) as control:
            control.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
                "where application_name = 'upkeep lease' and datname = current_database()"
            )

    lost = bed.upkeep("run", DELETES.job, *AT, before=tune(DELETES), stage=help_.once(moment, end))
    assert lost.status == 3, lost.story
    wanted = ["done", "lease_lost"] if moment == "ledger: lease_unshare" else ["lease_lost", "none"]
    assert lost.outcomes() == {"app.logs": wanted}, lost.story
    assert due(db) == {"ledger: lease_share": 30, "delete from": 18, "ledger: lease_unshare": 0}[moment]
    again = bed.upkeep("run", DELETES.job, *AT)
    assert again.status == 0, again.story
    assert due(db) == 0


def test_an_approval_stays_unused_when_nothing_was_let_through(bed: Bed, db: Db) -> None:
    prepare(db, DELETES)
    bed.declare({"app.logs": APPROVED})
    plan_id = bed.upkeep("run", DELETES.job, *AT).target["plan_id"]
    arguments = ("run", DELETES.job, "--approve", plan_id, "--json")
    with backup(bed):
        left = bed.upkeep(*arguments)
    assert left.status == 3, left.story
    assert left.outcomes()["app.logs"][0] == "lease_busy", left.story
    assert (left.target["plan_state"]["state"], due(db)) == ("granted", ROWS // 2)
    done = bed.upkeep(*arguments)
    assert done.status == 0, done.story
    assert (done.target["plan_state"]["state"], due(db)) == ("used", 0)
