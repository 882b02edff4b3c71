"""The server itself is killed while rows go into files, at every step of a batch: the next run finishes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from local.servers import PostgresServer
from tests.harness.archives import KINDS, in_files, in_table, of_another_history, settled
from tests.harness.postgres import AT, retention, session, spring, target
from tests.harness.stepping import Stepping
from upkeep.errors import UnreachableError
from upkeep.jobs.data_retention.pace import Pace
from upkeep.postgres.data_retention import JOB
from upkeep.postgres.session import PostgresSession
from upkeep.stores.store import Store

COMMIT = "commit"


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upkeep.postgres.data_retention.files.archive.pace", lambda: Pace(size=25))
    monkeypatch.setattr("upkeep.postgres.data_retention.batches.ROWS_ON_A_PAGE", 25)
    monkeypatch.setattr(Pace, "learn", lambda *_: None)


def steps(opened: PostgresSession, policy: str, at: Callable[[int], None], patched: pytest.MonkeyPatch) -> list[str]:
    """Run the job, call ``at`` before each step, and return what the steps were; a commit is one too."""
    seen: list[str] = []

    def step(*what: object) -> None:
        seen.append(str(what[-1]))
        at(len(seen))

    transaction = PostgresSession.transaction

    @contextmanager
    def committed(self: PostgresSession) -> Iterator[None]:
        with transaction(self):
            yield
            if self is opened:
                step(COMMIT)

    opened.trace = step
    patched.setattr(Store, "step", step)
    patched.setattr(PostgresSession, "transaction", committed)
    what = target({"public.logs": policy})
    book = retention(what)
    observation = book.observe(opened, AT)
    del seen[:]
    for action in JOB.plan(observation, what).actions:
        outcome = book.apply(opened, action, observation)
        if outcome.reason_code == "connection_lost":
            break
        assert outcome.status == "done", outcome
    return seen


def second_batch(seen: list[str]) -> range:
    """Return the numbers of the steps of the second file, from its statement to the next one's."""
    begun = [number for number, text in enumerate(seen, 1) if "delete from only" in text]
    return range(begun[1], begun[2] + 1)


@pytest.mark.slow
def test_the_server_is_killed(own_postgres_server: PostgresServer, tmp_path: Path, stepping: Stepping) -> None:
    server, policy = own_postgres_server, KINDS["rows"]
    with psycopg.connect(server.uri(), autocommit=True) as db:
        spring(db, "rows")
        whole = sorted(in_table(db))
    with pytest.MonkeyPatch.context() as patched, session(server.uri()) as opened:
        seen = steps(opened, policy.format(tmp_path / "0"), lambda _: None, patched)
    batch = second_batch(seen)
    chosen = stepping.chosen("the server killed in a batch", [seen[number - 1] for number in batch])
    numbers = [batch[number - 1] for number in chosen]
    assert COMMIT in [seen[number - 1] for number in numbers]
    for number in numbers:
        into = tmp_path / str(number)
        with psycopg.connect(server.uri(), autocommit=True) as db:
            spring(db, "rows")
            db.execute("checkpoint")

        def kill(now: int, number: int = number) -> None:
            if now == number:
                server.kill()

        with pytest.MonkeyPatch.context() as patched, session(server.uri()) as opened:
            steps(opened, policy.format(into), kill, patched)
        server.start()
        finished(server.uri(), policy.format(into), into, whole, (number, seen[number - 1]))


@pytest.mark.slow
def test_the_server_and_the_job_are_killed_together(own_postgres_server: PostgresServer, tmp_path: Path) -> None:
    """As when the power fails: nobody was there to take the file back, and the server was started again."""
    server, policy, into = own_postgres_server, KINDS["rows"].format(tmp_path / "archive"), tmp_path / "archive"
    with psycopg.connect(server.uri(), autocommit=True) as db:
        spring(db, "rows")
        whole = sorted(in_table(db))

    def kill(now: int) -> None:
        if now == number:
            server.kill()

    with pytest.MonkeyPatch.context() as patched, session(server.uri()) as opened:
        seen = steps(opened, KINDS["rows"].format(tmp_path / "0"), lambda _: None, patched)
    number = next(n for n in second_batch(seen) if seen[n - 1] == COMMIT)
    with psycopg.connect(server.uri(), autocommit=True) as db:
        spring(db, "rows")
    with pytest.MonkeyPatch.context() as patched, session(server.uri()) as opened:
        patched.setattr("upkeep.stores.shelf.Shelf.withdraw", lambda *_: None)
        steps(opened, policy, kill, patched)
    assert len(in_files(into, "_undecided")) > 0
    server.start()
    copied = tmp_path / "kept"
    shutil.copytree(into, copied)
    (note,) = (copied / "public/logs/_undecided").glob("*.json")
    of_another_history(note)  # as a copy of the server sees it
    with session(server.uri()) as opened:
        what = target({"public.logs": KINDS["rows"].format(copied)})
        book = retention(what)
        observation = book.observe(opened, AT)
        settling = JOB.plan(observation, what).actions[0]
        outcome = book.apply(opened, settling, observation)
    assert (settling.kind, outcome.status) == ("settle_files", "failed")
    assert "cannot know what became" in str(outcome.message)
    finished(server.uri(), policy, into, whole, "together")


def test_an_unlogged_table_is_emptied_by_the_crash(own_postgres_server: PostgresServer, tmp_path: Path) -> None:
    """The file of a batch that was committed has the only copy then: the commit must be as durable as any other."""
    server, into = own_postgres_server, tmp_path / "archive"
    with psycopg.connect(server.uri(), autocommit=True) as db:
        spring(db, "rows")
        for month in (4, 5, 6):
            db.execute(f"alter table logs_{month} set unlogged")

    def die(*_: object) -> None:
        server.kill()
        raise UnreachableError("the job is killed in the same moment")

    book = retention(target({"public.logs": KINDS["rows"].format(into)}))
    with pytest.MonkeyPatch.context() as patched, session(server.uri()) as opened:
        patched.setattr("upkeep.stores.shelf.Shelf.decide", die)
        assert book.run(opened, AT).statuses == ["failed"]
    written = in_files(into, "_undecided")
    assert len(written) > 0
    server.start()
    with session(server.uri()) as opened:
        assert set(book.run(opened, AT).statuses) == {"done"}
    with psycopg.connect(server.uri(), autocommit=True) as db:
        assert settled(db, into) == sorted(written)


def finished(uri: str, policy: str, into: Path, whole: list[int], stage: Any) -> None:
    book = retention(target({"public.logs": policy}))
    with psycopg.connect(uri, autocommit=True) as db:
        table, sure, undecided = in_table(db), in_files(into), in_files(into, "_undecided")
        assert set(table) | set(sure) | set(undecided) == set(whole), stage
        assert sorted(set(table) & set(sure)) == [], stage
        with session(uri) as opened:
            assert book.until_done(opened, AT).kinds == [], stage
        assert settled(db, into) == whole, stage
