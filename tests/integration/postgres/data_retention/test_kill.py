"""Killed at every statement, process or backend: no row lost, none doubled, the next run ends it.

Issue 3, "Robust"; DESIGN 5.6.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from local.servers import PostgresServer
from tests.harness.postgres import AT, attached, count, exists, retention, session, spring, target
from tests.harness.stepping import Stepping
from upkeep.jobs.data_retention.pace import Pace
from upkeep.model import Action
from upkeep.postgres.data_retention import JOB
from upkeep.postgres.session import PostgresSession

KINDS = {
    "concurrently": "retain: {by: at, for: 1 month, then: delete, requires: nothing, grace: 0}",
    "plainly": "retain: {by: at, for: 1 month, then: delete, requires: nothing, grace: 0}",
    "archived": "retain: {by: at, for: 1 month, then: archive, into: public.old, requires: nothing, grace: 0}",
    "row by row": (
        "retain: {by: at, for: 1 month, then: archive, into: public.old, precision: row, requires: nothing, grace: 0}"
    ),
}


@pytest.fixture
def db(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upkeep.postgres.data_retention.apply.Pace", lambda: Pace(size=25))
    monkeypatch.setattr("upkeep.postgres.data_retention.batches.ROWS_ON_A_PAGE", 25)


def until(opened: PostgresSession, number: int, kill: Callable[[], None], kind: str) -> list[str]:
    """Run the job with ``kill`` called before statement ``number``; return what was sent."""
    what = target({"public.logs": KINDS[kind]})
    book = retention(what)
    observation = book.observe(opened, AT)
    sent: list[str] = []

    def trace(statement: str) -> None:
        sent.append(statement)
        if len(sent) == number:
            kill()

    opened.trace = trace
    for action in JOB.plan(observation, what).actions:
        outcome = book.apply(opened, action, observation)
        if outcome.reason_code == "connection_lost":
            break
        assert outcome.status == "done", outcome
    return sent


def killed_process(database: str, number: int, kind: str) -> None:
    child = os.fork()
    if child == 0:
        try:
            with session(database) as opened:
                until(opened, number, lambda: os.kill(os.getpid(), signal.SIGKILL), kind)
        finally:
            os._exit(3)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)


def killed_backend(database: str, number: int, kind: str) -> None:
    def kill() -> None:
        with psycopg.connect(database, autocommit=True) as other:
            other.execute("select pg_terminate_backend(%s, 5000)", [opened.backend_pid])

    with session(database) as opened:
        until(opened, number, kill, kind)


def everywhere(db: psycopg.Connection[Any], kind: str) -> list[int]:
    """Return the ids of all rows, wherever they are now."""
    tables = ["logs", "old"]
    if exists(db, "logs_4") and "logs_4" not in attached(db, "logs"):
        tables.append("logs_4")
    union = " union all ".join(f"select id from {t}" for t in tables)
    return sorted(row[0] for row in db.execute(union).fetchall())


def intended(database: str, kind: str) -> list[Action]:
    """Return what a run intends: written to the ledger before it was killed."""
    with session(database) as opened:
        return list(retention(target({"public.logs": KINDS[kind]})).plan(opened, AT).actions)


@pytest.mark.parametrize("kill", [killed_process, killed_backend])
@pytest.mark.parametrize("kind", list(KINDS))
def test_killed_before_each_statement(
    database: str, db: psycopg.Connection[Any], kind: str, kill: Callable[[str, int, str], None], stepping: Stepping
) -> None:
    what = target({"public.logs": KINDS[kind]})
    whole: list[int] = []

    def undisturbed(kind: str) -> list[str]:
        spring(db, kind)
        whole[:] = everywhere(db, kind)
        with session(database) as opened:
            sent = until(opened, 0, lambda: None, kind)
        assert len(sent) > 10
        return sent

    for number in stepping.steps("retention", list(KINDS), kind, undisturbed):
        spring(db, kind)
        intents = intended(database, kind)
        kill(database, number, kind)
        seen = everywhere(db, kind)
        archived = kind in ("archived", "row by row")
        assert seen == whole or (not archived and seen == [i for i in whole if i >= 5000]), number
        assert len(seen) == len(set(seen))
        book = retention(what)
        book.begun(*intents)
        with session(database) as opened:
            run = book.until_done(opened, AT)
            assert run.kinds == [], (number, run.plan.actions, [f.summary for f in run.plan.findings])
        assert not exists(db, "logs_4"), number
        assert [p for p in attached(db, "logs") if p != "logs_rest"] == ["logs_5", "logs_6"]
        assert everywhere(db, kind) == (whole if archived else [i for i in whole if i >= 5000]), number
        if kind == "row by row":
            assert count(db, "logs", "at < '2024-05-15 12:00+00'") == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["concurrently", "row by row"])
def test_the_server_killed(own_postgres_server: PostgresServer, kind: str) -> None:
    server = own_postgres_server
    uri = server.uri()
    with psycopg.connect(uri, autocommit=True) as db:
        spring(db, kind)
        whole = everywhere(db, kind)
    intents = intended(uri, kind)
    for number in (8, 14, 20):
        with session(uri) as opened:
            until(opened, number, lambda: os.kill(server_pid(server), signal.SIGKILL), kind)
        server.stop()
        server.start()
        with psycopg.connect(uri, autocommit=True) as db:
            seen = everywhere(db, kind)
            assert len(seen) == len(set(seen))
            assert kind == "concurrently" or seen == whole
    book = retention(target({"public.logs": KINDS[kind]}))
    book.begun(*intents)
    with session(uri) as opened:
        run = book.until_done(opened, AT)
        assert run.kinds == [], run.plan.findings


def server_pid(server: PostgresServer) -> int:
    return int((server.data / "postmaster.pid").read_text().splitlines()[0])
