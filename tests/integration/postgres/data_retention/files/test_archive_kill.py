"""Killed at every statement and file operation while rows go into files: none lost, none doubled (DESIGN 5.6)."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.harness.archives import KINDS, in_files, in_table, settled
from tests.harness.postgres import AT, count, exists, retention, session, spring, target
from tests.harness.stepping import Stepping
from upkeep.jobs.data_retention.pace import Pace
from upkeep.model import Action
from upkeep.postgres.data_retention import JOB
from upkeep.postgres.session import PostgresSession
from upkeep.stores.store import Store


@pytest.fixture
def db(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upkeep.postgres.data_retention.files.archive.pace", lambda: Pace(size=25))
    monkeypatch.setattr("upkeep.postgres.data_retention.batches.ROWS_ON_A_PAGE", 25)
    monkeypatch.setattr(Pace, "learn", lambda *_: None)


def until(opened: PostgresSession, number: int, kill: Callable[[], None], policy: str) -> list[str]:
    """Run the job with ``kill`` called before step ``number``; return the steps."""
    what = target({"public.logs": policy})
    book = retention(what)
    observation = book.observe(opened, AT)
    steps: list[str] = []

    def step(*told: object) -> None:
        steps.append(str(told[-1]))
        if len(steps) == number:
            kill()

    opened.trace = step
    before, Store.step = Store.step, step  # type: ignore[method-assign]
    try:
        for action in JOB.plan(observation, what).actions:
            outcome = book.apply(opened, action, observation)
            if outcome.reason_code == "connection_lost":
                break
            assert outcome.status == "done", outcome
    finally:
        Store.step = before  # type: ignore[method-assign]
    return steps


def killed_process(database: str, number: int, policy: str) -> None:
    child = os.fork()
    if child == 0:
        try:
            with session(database) as opened:
                until(opened, number, lambda: os.kill(os.getpid(), signal.SIGKILL), policy)
        finally:
            os._exit(3)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)


def killed_backend(database: str, number: int, policy: str) -> None:
    def kill() -> None:
        with psycopg.connect(database, autocommit=True) as other:
            other.execute("select pg_terminate_backend(%s, 5000)", [opened.backend_pid])

    with session(database) as opened:
        until(opened, number, kill, policy)


def intended(database: str, policy: str) -> list[Action]:
    with session(database) as opened:
        return list(retention(target({"public.logs": policy})).plan(opened, AT).actions)


@pytest.mark.parametrize("kill", [killed_process, killed_backend])
@pytest.mark.parametrize("kind", list(KINDS))
def test_killed_before_each_step(
    database: str,
    db: psycopg.Connection[Any],
    tmp_path: Path,
    kind: str,
    kill: Callable[[str, int, str], None],
    *,
    stepping: Stepping,
) -> None:
    whole: list[int] = []

    def undisturbed(kind: str) -> list[str]:
        spring(db, kind)
        whole[:] = sorted(in_table(db))
        into = tmp_path / kind
        with session(database) as opened:
            steps = until(opened, 0, lambda: None, KINDS[kind].format(into))
        assert len(steps) > 30
        assert settled(db, into) == whole
        return steps

    for number in stepping.steps("archiving into files", list(KINDS), kind, undisturbed):
        into = tmp_path / str(number)
        policy = KINDS[kind].format(into)
        spring(db, kind)
        intents = intended(database, policy)
        kill(database, number, policy)
        table, sure, undecided = in_table(db), in_files(into), in_files(into, "_undecided")
        assert set(table) | set(sure) | set(undecided) == set(whole), number
        assert sorted(set(table) & set(sure)) == [], number
        book = retention(target({"public.logs": policy}))
        book.begun(*intents)
        with session(database) as opened:
            assert book.until_done(opened, AT).kinds == [], number
        assert not exists(db, "logs_4"), number
        assert settled(db, into) == whole, number
        if kind == "rows":
            assert count(db, "logs", "at < '2024-05-15 12:00+00'") == 0
