"""A conversion and its undo beside writers and readers: no error, no row lost or doubled, nobody waits behind us."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tests.harness import conversions as conv
from tests.harness import postgres as help_
from tests.harness.jobs import undo
from tests.harness.postgres import creation
from upkeep.model import ReasonCode
from upkeep.postgres import ddl
from upkeep.postgres.partition_creation import JOB
from upkeep.postgres.partition_creation.conversion import apply

pytestmark = pytest.mark.alone

ROWS = 20_000
WHAT = help_.target({"public.logs": conv.POLICY})


@pytest.fixture
def db(database: str) -> Any:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("create table public.places (id int primary key, seen int not null default 0)")
        connection.execute("insert into public.places select g from generate_series(0, 9) g")
        connection.execute(
            "create table public.logs (id bigint generated always as identity, at timestamptz not null default now(), "
            "place int not null references public.places, n int not null default 0, primary key (id, at))"
        )
        connection.execute("create index on public.logs (at)")
        connection.execute("create table public.journal (id bigint, what text)")
        connection.execute(
            "create function public.note() returns trigger language plpgsql as $$ begin "
            "insert into public.journal values (coalesce(new.id, old.id), tg_op); return null; end $$"
        )
        connection.execute(
            "insert into public.logs (at, place) select now() - g * interval '1 minute', g % 10 "
            f"from generate_series(1, {ROWS}) g"
        )
        connection.execute(
            "create trigger journal after insert or update or delete on public.logs for each row "
            "execute function public.note()"
        )
        yield connection


class Crowd:
    """Writers and readers, each on a connection of its own, that note what the server promised them."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.stop = threading.Event()
        self.inserted: set[int] = set()
        self.deleted: set[int] = set()
        self.updates = 0
        self.reads = 0
        self.errors: list[BaseException] = []

    def loop(self, work: Callable[[psycopg.Connection[Any]], None]) -> None:
        try:
            with psycopg.connect(self.uri, autocommit=True) as connection:
                connection.execute("set lock_timeout = '10s'")
                while not self.stop.is_set():
                    work(connection)
                    time.sleep(0.003)
        except BaseException as error:  # noqa: BLE001 - shown by the test
            self.errors.append(error)

    def insert(self, connection: psycopg.Connection[Any]) -> None:
        row = connection.execute("insert into public.logs (place) values (3) returning id", prepare=True).fetchone()
        assert row is not None
        self.inserted.add(row[0])

    def delete(self, connection: psycopg.Connection[Any]) -> None:
        query = "delete from public.logs where id = (select min(id) from public.logs) returning id"
        self.deleted.update(r[0] for r in connection.execute(query, prepare=True).fetchall())

    def update(self, connection: psycopg.Connection[Any]) -> None:
        with connection.transaction():  # a transaction of several statements, over the parent row first
            connection.execute("update public.places set seen = seen + 1 where id = 3", prepare=True)
            found = connection.execute("update public.logs set n = n + 1 where id = 15000", prepare=True)
            self.updates += found.rowcount

    def read(self, connection: psycopg.Connection[Any]) -> None:
        row = connection.execute("select count(*), count(distinct id) from public.logs", prepare=True).fetchone()
        assert row is not None
        assert row[0] == row[1], row
        self.reads += 1


@contextmanager
def crowd(uri: str) -> Iterator[Crowd]:
    made = Crowd(uri)
    jobs = [made.insert, made.delete, made.update, made.read]
    threads = [threading.Thread(target=made.loop, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    try:
        time.sleep(0.3)
        yield made
        time.sleep(0.3)
    finally:
        made.stop.set()
        for thread in threads:
            thread.join()


def test_writers_and_readers_go_on_through_conversion_and_undo(database: str, db: Any) -> None:
    with crowd(database) as people, help_.session(database) as session:
        for _ in range(3):
            _, action, outcome = conv.convert(session, WHAT)
            assert outcome.status == "done", outcome
            assert outcome.evidence["rows_read_under_lock"] == 0
            undone = undo(JOB, session, action, outcome)
            assert undone.status == "done", undone
    assert people.errors == []
    assert min(len(people.inserted), len(people.deleted), people.updates, people.reads) > 20
    found = {r[0] for r in db.execute("select id from public.logs").fetchall()}
    expected = (set(range(1, ROWS + 1)) | people.inserted) - people.deleted
    assert found == expected
    assert db.execute("select count(*) from public.logs").fetchone() == (len(expected),)
    assert db.execute("select n from public.logs where id = 15000").fetchone() == (people.updates,)
    fired = dict(db.execute("select what, count(*) from public.journal group by 1").fetchall())
    assert fired == {"INSERT": len(people.inserted), "DELETE": len(people.deleted), "UPDATE": people.updates}
    assert conv.left_behind(db) == 0


def waiters(db: conv.Db) -> int:
    row = db.execute("select count(*) from pg_locks where not granted").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("held", ["public.logs", "public.places"])
def test_a_long_reader_makes_it_give_up(database: str, db: Any, held: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "RETRY", ddl.LockRetry(first_wait=0.03, last_wait=0.05, budget=1.5, hold=2.0))
    with help_.session(database) as session, psycopg.connect(database) as reader:
        reader.execute(f"select count(*) from {held}")  # holds its lock until its transaction ends
        slowest = 0.0
        done = threading.Event()

        def write() -> None:
            nonlocal slowest
            with psycopg.connect(database, autocommit=True) as connection:
                while not done.is_set():
                    started = time.monotonic()
                    connection.execute("insert into public.logs (place) values (1)")
                    slowest = max(slowest, time.monotonic() - started)
                    time.sleep(0.002)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            _, _, outcome = conv.convert(session, WHAT)
        finally:
            done.set()
            writer.join()
        assert outcome.status == "skipped", outcome
        assert outcome.reason_code is ReasonCode.LOCK_NOT_OBTAINED
        assert waiters(db) == 0
        assert slowest < 2.0  # not for as long as the reader reads
        reader.rollback()
    with help_.session(database) as session:
        creation(WHAT).run(session)
        _, _, outcome = conv.convert(session, WHAT)
    assert outcome.status == "done", outcome
    assert conv.left_behind(db) == 0


def test_two_at_once(database: str, db: Any) -> None:
    results: list[Any] = []

    with help_.session(database) as session:
        observation = creation(WHAT).observe(session)
        (action,) = JOB.plan(observation, WHAT).actions

    def one() -> None:
        with help_.session(database) as session:
            results.append(creation(WHAT).apply(session, action, observation))

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    codes = sorted(str(r.reason_code or r.status) for r in results)
    assert codes in (["done", "lock_not_obtained"], ["done", "done"]), results
    assert db.execute("select count(*) from public.logs").fetchone() == (ROWS,)
    assert conv.left_behind(db) == 0


def test_a_writer_with_an_old_snapshot_sees_every_row(database: str, db: Any) -> None:
    with psycopg.connect(database) as old, help_.session(database) as session:
        old.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        old.execute("select 1 from public.journal")  # its snapshot is taken; it has not touched the table
        db.execute("insert into public.logs (place) values (1)")
        _, _, outcome = conv.convert(session, WHAT)
        assert outcome.status == "done", outcome
        assert old.execute("select count(*) from public.logs").fetchone() == (ROWS,)
