"""A run whose servers go away in the middle: the target's, its backend, the control database, the lease.

(issue 3, "Robust"; DESIGN 5.5, 5.6.)
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from local.servers import PostgresServer
from tests.harness import commands as help_
from tests.harness.cases import AT, CASES, ROWS, conserved, prepare, tune
from tests.harness.commands import Bed, Db

DELETES = CASES["delete rows"]
BOTH = {"app.logs": DELETES.policy, "app.other": DELETES.policy}
TWIN = (
    "create table app.other (like app.logs including all)",
    "insert into app.other select * from app.logs",
    "analyze app.other",
)


@pytest.fixture
def db(bed: Bed) -> Any:
    with psycopg.connect(bed.target, autocommit=True) as connection:
        yield connection


@pytest.fixture
def two(bed: Bed, db: Db) -> Db:
    """Two tables with the same due rows, of which the first comes first."""
    prepare(db, DELETES)
    for statement in TWIN:
        db.execute(statement)
    assert bed.upkeep("init").status == 0
    bed.declare(BOTH)
    return db


def left(db: Db, table: str) -> int:
    """Return how many due rows a table holds."""
    row = db.execute(f"select count(*) from {table} where at < '2024-02-01'").fetchone()
    return int(row[0]) if row else -1


def end_sessions(uri: str, application: str) -> None:
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
            "where datname = current_database() and application_name = %s",
            [application],
        )


def run(bed: Bed, stage: help_.Stage | None = None) -> help_.Done:
    return bed.upkeep("run", "data_retention", *AT, before=tune(DELETES), stage=stage)


# -- the target ---------------------------------------------------------------------------------------


PENDING = "select from pg_inherits where inhdetachpending"


def pending(uri: str, end: Callable[[], object]) -> Callable[[], None]:
    """Return what makes a concurrent detaching wait for a reader, and calls ``end`` while it is pending."""

    def stage() -> None:
        reader = psycopg.connect(uri)
        reader.execute("select count(*) from app.logs")
        threading.Thread(target=wait, args=(reader,), daemon=True).start()

    def wait(reader: psycopg.Connection[Any]) -> None:
        with psycopg.connect(uri, autocommit=True) as other:
            help_.until(lambda: other.execute(PENDING).fetchall(), 20)
        end()
        reader.close()

    return stage


@pytest.mark.slow
def test_the_server_is_killed(bed: Bed, own_postgres_server: PostgresServer) -> None:
    server = own_postgres_server
    bed.target = server.uri()
    assert bed.upkeep("init").status == 0

    pid = [server.pid or 0]

    def end() -> None:
        help_.hard_kill(pid[0])

    begun = "ledger: intend"
    stages = {
        "create, rows moved at once": help_.once("target: commit", end, since=begun),
        "create, rows moved in steps": help_.once("target: commit", end, since=begun, after=3),
        "create": help_.once("ledger: record", end),
        "detach concurrently, then drop": help_.once("concurrently", pending(bed.target, end)),
        "delete rows": help_.once("delete from", end, after=1),
        "archive a partition": help_.once("target: commit", end, since=begun),
    }
    for number, (name, stage) in enumerate(stages.items()):
        case = CASES[name]
        with psycopg.connect(bed.target, autocommit=True) as db:
            prepare(db, case)
            bed.addresses.clear()
            bed.declare({"app.logs": case.policy}, names=[f"undisturbed{number}"])
            done = bed.upkeep("run", case.job, *AT, before=tune(case))
            assert done.status == 0, (name, done.story)
            wanted = help_.picture(db)
            prepare(db, case)
            db.execute("checkpoint")
        bed.declare({"app.logs": case.policy}, names=[f"t{number}"])
        killed = bed.upkeep("run", case.job, *AT, before=tune(case), stage=stage)
        assert killed.status == 3, (name, killed.story)
        assert killed.target["status"] == "unreachable", (name, killed.story)
        assert "PostgreSQL at 127.0.0.1" in killed.target["error"], name
        server.kill()  # it was, by the run's process: this one only learns of it
        server.start()
        pid[0] = server.pid or 0
        with psycopg.connect(bed.target, autocommit=True) as db:
            conserved(db, case, name)
            again = bed.upkeep("run", case.job, *AT, before=tune(case))
            assert again.status == 0, (name, again.story)
            conserved(db, case, name)
            assert help_.picture(db) == wanted, name


def test_the_process_is_killed_while_a_detaching_is_pending(bed: Bed, db: Db) -> None:
    case = CASES["detach concurrently, then drop"]
    prepare(db, case)
    bed.declare({"app.logs": case.policy})
    halt = help_.Halt(bed.folder)
    command = bed.start("run", case.job, *AT, stage=help_.once("concurrently", halt.here))
    halt.reached()
    with psycopg.connect(bed.target) as reader:
        reader.execute("select count(*) from app.logs")
        halt.go()
        help_.until(lambda: db.execute(PENDING).fetchall())
        command.send(signal.SIGKILL)
        assert command.wait().status == -9
        bed.wait_until_alone()  # its statement gives up, though nobody is there to hear it
        assert len(db.execute(PENDING).fetchall()) == 1
    conserved(db, case, "pending")
    again = bed.upkeep("run", case.job, *AT)
    assert again.status == 0, again.story
    assert db.execute("select to_regclass('app.logs_1')").fetchone() == (None,)
    conserved(db, case, "again")


def test_a_backend_is_terminated_in_the_middle_of_a_table(bed: Bed, two: Db) -> None:
    done = run(bed, help_.once("delete from", lambda: end_sessions(bed.target, "upkeep"), after=1))
    assert done.outcomes() == {
        "app.logs": ["connection_lost", "dependency_not_done"],
        "app.other": ["done", "done"],
    }, done.story
    assert done.target["status"] == "partial", done.story
    assert done.status == 3, done.story
    assert (left(two, "app.logs"), left(two, "app.other")) == (ROWS // 2 - 12, 0)
    assert "the connection was lost" in done.target["actions"][0]["outcome"]["message"]
    again = run(bed)
    assert (again.status, again.target["status"]) == (0, "ok"), again.story
    assert left(two, "app.logs") == 0


# -- the ledger ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["ledger: intend", "delete from", "ledger: record", "ledger: lease_release"])
def test_the_control_database_is_lost(bed: Bed, two: Db, postgres_server: PostgresServer, moment: str) -> None:
    name = str(conninfo_to_dict(bed.control)["dbname"])

    def allow(word: str) -> None:
        with psycopg.connect(postgres_server.uri(), autocommit=True) as maintenance:
            maintenance.execute(f'alter database "{name}" allow_connections {word}')
            if word == "false":
                ending = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = %s"
                maintenance.execute(ending, [name])

    lost = run(bed, help_.once(moment, lambda: allow("false"), after=1 if moment == "delete from" else 0))
    allow("true")
    assert lost.status == 3, lost.story
    assert lost.out == ""
    assert "the control database" in lost.err
    assert "nothing" in lost.err
    assert "Traceback" not in lost.err
    bed.wait_until_alone()
    touched = {"ledger: intend": 0, "delete from": 24, "ledger: record": 30, "ledger: lease_release": 30}[moment]
    assert left(two, "app.logs") == ROWS // 2 - touched
    assert left(two, "app.other") == (0 if moment == "ledger: lease_release" else ROWS // 2)
    again = run(bed)
    assert again.status == 0, again.story
    assert (left(two, "app.logs"), left(two, "app.other")) == (0, 0)


def test_the_lease_is_lost(bed: Bed, two: Db) -> None:
    lost = run(bed, help_.once("delete from", lambda: end_sessions(bed.control, "upkeep lease"), after=1))
    assert lost.status == 3, lost.story
    assert lost.target["status"] == "failed", lost.story
    assert "lease" in lost.target["error"]
    assert lost.outcomes() == {"app.logs": ["lease_lost", "none"], "app.other": ["none", "none"]}, lost.story
    assert (left(two, "app.logs"), left(two, "app.other")) == (ROWS // 2 - 24, ROWS // 2)  # none after the next look
    bed.wait_until_alone()
    again = run(bed)
    assert (again.status, again.target["status"]) == (0, "ok"), again.story
    assert (left(two, "app.logs"), left(two, "app.other")) == (0, 0)
