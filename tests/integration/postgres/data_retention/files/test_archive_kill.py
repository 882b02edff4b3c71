"""Killed at every statement and file operation while rows go into files: none lost, none doubled (DESIGN 5.6)."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest

from tests.harness.retention import AT, Book, attached, count, exists, session, target
from tests.integration.postgres.data_retention.test_kill import prepare
from upkeep.jobs.data_retention.pace import Pace
from upkeep.model import Action
from upkeep.postgres.data_retention import JOB
from upkeep.postgres.session import PostgresSession
from upkeep.stores.store import Store

KINDS = {
    "partitions": "retain: {{by: at, for: 1 month, then: archive, into: '{}', requires: nothing, grace: 0}}",
    "rows": "retain: {{by: at, for: 1 month, then: archive, into: '{}', precision: row, requires: nothing, grace: 0}}",
}
FOLDER = "public/logs"


@pytest.fixture
def db(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upkeep.postgres.data_retention.files.archive.pace", lambda: Pace(size=25))
    monkeypatch.setattr("upkeep.postgres.data_retention.batches.ROWS_ON_A_PAGE", 25)
    monkeypatch.setattr(Pace, "learn", lambda *_: None)


def until(opened: PostgresSession, number: int, kill: Callable[[], None], policy: str) -> int:
    """Run the job with ``kill`` called before step ``number``; return how many steps there were."""
    book, what = Book(), target({"public.logs": policy})
    observation = book.observe(opened, what, AT)
    steps = 0

    def step(*_: object) -> None:
        nonlocal steps
        steps += 1
        if steps == number:
            kill()

    opened.trace = step
    before, Store.step = Store.step, step  # type: ignore[method-assign]
    try:
        for action in JOB.plan(observation, what).actions:
            outcome = book.apply(opened, what, action, observation)
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


def in_table(db: psycopg.Connection[Any]) -> list[int]:
    tables = ["logs"]
    if exists(db, "logs_4") and "logs_4" not in attached(db, "logs"):
        tables.append("logs_4")
    return [row[0] for row in db.execute(" union all ".join(f"select id from {t}" for t in tables)).fetchall()]


def in_files(into: Path, kind: str = "_manifests") -> list[int]:
    """Return the ids in the files that count (or that are undecided)."""
    found: list[int] = []
    folder = into / FOLDER
    for manifest in (folder / kind).glob("*.json"):
        file = folder / f"{json.loads(manifest.read_text())['file']}.parquet"
        if kind == "_manifests" or file.exists():
            found += pq.read_table(file)["id"].to_pylist()
    return found


def settled(db: psycopg.Connection[Any], into: Path) -> list[int]:
    """Return all ids as the manifests have them; every file must have one."""
    folder = into / FOLDER
    names = {f.stem for f in folder.glob("*.parquet")}
    assert names == {f.stem for f in (folder / "_manifests").glob("*.json")}
    assert list((folder / "_undecided").iterdir()) == []
    return sorted(in_table(db) + in_files(into))


def intended(database: str, policy: str) -> list[Action]:
    with session(database) as opened:
        return list(Book().plan(opened, target({"public.logs": policy}), AT).actions)


@pytest.mark.parametrize("kill", [killed_process, killed_backend])
@pytest.mark.parametrize("kind", list(KINDS))
def test_killed_before_each_step(
    database: str,
    db: psycopg.Connection[Any],
    tmp_path: Path,
    kind: str,
    kill: Callable[[str, int, str], None],
) -> None:
    prepare(db, kind)
    whole = sorted(in_table(db))
    with session(database) as opened:
        total = until(opened, 0, lambda: None, KINDS[kind].format(tmp_path / "0"))
    assert total > 30
    assert settled(db, tmp_path / "0") == whole
    for number in range(1, total + 1):
        into = tmp_path / str(number)
        policy = KINDS[kind].format(into)
        prepare(db, kind)
        intents = intended(database, policy)
        kill(database, number, policy)
        table, sure, undecided = in_table(db), in_files(into), in_files(into, "_undecided")
        assert set(table) | set(sure) | set(undecided) == set(whole), number
        assert sorted(set(table) & set(sure)) == [], number
        book, what = Book(intents=intents), target({"public.logs": policy})
        with session(database) as opened:
            for _ in range(3):
                run = book.run(opened, what, AT)
                assert set(run.statuses) <= {"done"}, (number, [(o.reason_code, o.message) for o in run.outcomes])
            assert run.kinds == [], (number, run.plan.actions)
        assert not exists(db, "logs_4"), number
        assert settled(db, into) == whole, number
        if kind == "rows":
            assert count(db, "logs", "at < '2024-05-15 12:00+00'") == 0
