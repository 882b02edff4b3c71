"""Others insert, change and delete while rows are moved: every snapshot shows every row exactly once.

DESIGN 5.3: exactly the rows copied are the rows deleted; issue 3: rows changed by others in between are moved
as they are then or stay.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tests.harness.postgres import count, retention, session, target
from upkeep.jobs.data_retention.pace import Pace
from upkeep.model import ReasonCode
from upkeep.postgres.data_retention import JOB

pytestmark = pytest.mark.alone

ARCHIVE = "retain: {by: at, for: 1 day, then: archive, into: public.old, precision: row, requires: nothing}"
DELETE = "retain: {by: at, for: 1 day, then: delete, precision: row, requires: nothing}"
ROWS = 20_000
CHANCE = random.Random(20240615)  # noqa: S311 - what happens when, not a secret


@pytest.fixture
def db(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def make(db: psycopg.Connection[Any], *, partitioned: bool) -> None:
    """Make a table with rows of ten days and its archive; ``id`` is given by the test, ``version`` counts changes."""
    tail = "partition by range (at)" if partitioned else ""
    db.execute(f"create table logs (id bigint, at timestamptz, version int default 0, note text) {tail}")
    if partitioned:
        db.execute("create table logs_1 partition of logs for values from (minvalue) to ('2020-01-01')")
        db.execute("create table logs_2 partition of logs for values from ('2020-01-01') to (maxvalue)")
    db.execute("create index on logs (at)")
    db.execute("create index on logs (id)")
    db.execute("create table old (like logs)")
    step = "10 days" if not partitioned else "15 years"
    db.execute(
        f"insert into logs select n, now() - random() * interval '{step}', 0, 'row' from generate_series(1, {ROWS}) n"
    )
    db.execute("analyze logs")


class Others:
    """Sessions that change the table all the time, and one that looks."""

    def __init__(self, database: str) -> None:
        self.database = database
        self.stop = threading.Event()
        self.inserted = 0
        self.deleted = 0
        self.errors: list[str] = []
        self.looks = 0

    def updater(self) -> None:
        """Make rows younger, older, or change them only."""
        with psycopg.connect(self.database, autocommit=True) as connection:
            while not self.stop.is_set():
                what = CHANCE.choice(["now()", "now() - interval '5 days'", "at"])
                connection.execute(
                    f"update logs set version = version + 1, at = {what} where id in (%s, %s)",
                    [CHANCE.randint(1, ROWS), CHANCE.randint(1, ROWS)],
                )

    def writer(self) -> None:
        """Insert due and young rows, and delete some of them again, each in one transaction with its count."""
        with psycopg.connect(self.database, autocommit=True) as connection:
            while not self.stop.is_set():
                days = CHANCE.choice([0, 3])
                with connection.transaction():
                    connection.execute(
                        "insert into logs select 1000000 + %s, now() - make_interval(days => %s), 0, 'new'",
                        [self.inserted, days],
                    )
                    connection.execute("update tally set inserted = inserted + 1")
                self.inserted += 1
                if CHANCE.random() < 0.3:
                    with connection.transaction():
                        gone = connection.execute("delete from logs where id = %s", [CHANCE.randint(1, ROWS)]).rowcount
                        connection.execute("update tally set deleted = deleted + %s", [gone])

    def watcher(self) -> None:
        """See in one snapshot that every row is in exactly one place."""
        with psycopg.connect(self.database, autocommit=True) as connection:
            while not self.stop.is_set():
                row = connection.execute(
                    "select (select count(*) from logs) + (select count(*) from old) as there, "
                    "(select inserted - deleted from tally) as expected, "
                    "(select count(*) from (select id from logs union all select id from old) u "
                    "having count(*) <> count(distinct id)) as doubled"
                ).fetchone()
                assert row is not None
                self.looks += 1
                if row[0] != row[1] or row[2]:
                    self.errors.append(f"look {self.looks}: {row}")

    @contextmanager
    def at_work(self, *roles: Callable[[], None]) -> Iterator[None]:
        threads = [threading.Thread(target=role) for role in roles]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stop.set()
            for thread in threads:
                thread.join()


@pytest.mark.parametrize("partitioned", [False, True])
def test_every_snapshot_shows_every_row_once(
    db: psycopg.Connection[Any], database: str, monkeypatch: pytest.MonkeyPatch, partitioned: bool
) -> None:
    monkeypatch.setattr("upkeep.postgres.data_retention.apply.Pace", lambda: Pace(size=300))
    make(db, partitioned=partitioned)
    db.execute(f"create table tally as select {ROWS}::bigint as inserted, 0::bigint as deleted")
    others = Others(database)
    what = target({"public.logs": ARCHIVE})
    book = retention(what)
    with (
        session(database) as opened,
        others.at_work(others.updater, others.updater, others.writer, others.watcher),
    ):
        run = book.run(opened, checkpoint=lambda *_, **__: time.sleep(0.005))
        frames = book.after(opened, *run)
    assert run.statuses == ["done"], run.outcomes
    assert not others.errors
    assert others.looks > 5
    evidence = run.outcomes[0].evidence
    assert evidence["rows_deleted"] == evidence["rows_archived"] == count(db, "old") > 1000
    assert evidence["hash_source"] == evidence["hash_archive"]
    cut_off = evidence["cut_off"]
    assert count(db, "old", f"at >= '{cut_off}'") == 0  # what somebody made younger in time has stayed
    assert frames["tables"][0]["due_remaining"] == 0, frames
    left = count(db, "logs", f"at < '{cut_off}'")
    assert frames["tables"][0]["late_arrivals"] <= left


def test_a_row_made_younger_while_its_lock_is_waited_for_stays(db: psycopg.Connection[Any], database: str) -> None:
    make(db, partitioned=False)
    row = db.execute("select id from logs order by at limit 1").fetchone()
    assert row is not None
    with session(database) as opened, psycopg.connect(database) as other:
        other.execute("update logs set at = now() where id = %s", row)
        threading.Timer(0.7, other.commit).start()
        run = retention(target({"public.logs": DELETE})).run(opened)
    assert run.statuses == ["done"], run.outcomes
    assert count(db, "logs", f"id = {row[0]}") == 1


def test_a_row_changed_while_its_lock_is_waited_for_moves_as_it_is_then(
    db: psycopg.Connection[Any], database: str
) -> None:
    make(db, partitioned=False)
    row = db.execute("select id from logs order by at limit 1").fetchone()
    assert row is not None
    with session(database) as opened, psycopg.connect(database) as other:
        other.execute("update logs set note = 'changed' where id = %s", row)
        threading.Timer(0.7, other.commit).start()
        run = retention(target({"public.logs": ARCHIVE})).run(opened)
    assert run.statuses == ["done"], run.outcomes
    assert count(db, "old", f"id = {row[0]} and note = 'changed'") == 1


def test_a_row_that_others_hold_all_the_time_is_left_to_the_next_run(
    db: psycopg.Connection[Any], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("upkeep.postgres.data_retention.batches.LOCK_WAIT", "100ms")
    monkeypatch.setattr("upkeep.postgres.data_retention.apply.Pace", lambda: Pace(size=500))
    make(db, partitioned=False)
    row = db.execute("select id from logs order by at limit 1").fetchone()
    with session(database) as opened, psycopg.connect(database) as other:
        other.execute("select from logs where id = %s for update", row)
        run = retention(target({"public.logs": DELETE})).run(opened, sleep=lambda _: None)
        outcome = run.outcomes[0]
        assert outcome.reason_code is ReasonCode.LOCK_NOT_OBTAINED
        assert outcome.status == "skipped"
        assert (outcome.rows or 0) > 10_000  # the rest has gone
        assert outcome.evidence["ranges_left"] == 1
        assert count(db, "pg_locks", "not granted") == 0
        other.rollback()
        again = retention(target({"public.logs": DELETE})).run(opened)
    assert again.statuses == ["done"]
    assert count(db, "logs", "at < now() - interval '25 hours'") == 0


def test_a_table_held_exclusively_does_not_stop_the_others(db: psycopg.Connection[Any], database: str) -> None:
    # pg_partman#732 (anchors B8)
    make(db, partitioned=False)
    db.execute("create table other as select at from logs")
    db.execute("create index on other (at)")
    tables = {"public.logs": DELETE, "public.other": DELETE}
    with session(database) as opened, psycopg.connect(database) as holder:
        holder.execute("lock table logs in access exclusive mode")
        run = retention(target(tables)).run(opened, sleep=lambda _: None)
    assert {a.subject for a in run.plan.actions} == {"public.other"}
    assert run.statuses == ["done"]
    assert run.finding("lock").status == "not_available"


def test_a_table_held_exclusively_after_the_plan(
    db: psycopg.Connection[Any], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("upkeep.postgres.data_retention.batches.LOCK_WAIT", "100ms")
    make(db, partitioned=False)
    what = target({"public.logs": DELETE})
    book = retention(what)
    with session(database) as opened, psycopg.connect(database) as holder:
        observation = book.observe(opened)
        action, *_ = JOB.plan(observation, what).actions
        holder.execute("lock table logs in access exclusive mode")
        outcome = book.apply(opened, action, observation, sleep=lambda _: None)
    assert (outcome.status, outcome.reason_code) == ("skipped", ReasonCode.LOCK_NOT_OBTAINED)


def test_a_reference_made_between_look_and_delete(db: psycopg.Connection[Any], database: str) -> None:
    db.execute("create table logs (id bigint primary key, at timestamptz)")
    db.execute("create index on logs (at)")
    db.execute("insert into logs select n, now() - n * interval '1 hour' from generate_series(1, 100) n")
    db.execute("create table c (id bigint references logs)")
    db.execute("create index on c (id)")
    with session(database) as opened, psycopg.connect(database) as other:
        other.execute("insert into c values (80)")  # holds a key lock on the row, not committed yet
        threading.Timer(0.7, other.commit).start()
        run = retention(target({"public.logs": DELETE})).run(opened)
    assert run.statuses == ["done"], run.outcomes
    assert count(db, "logs", "id > 24") == 1


def test_late_arrivals_are_told_from_what_was_left(db: psycopg.Connection[Any], database: str) -> None:
    make(db, partitioned=False)
    book = retention(target({"public.logs": DELETE}))
    with session(database) as opened:
        run = book.run(opened)
        db.execute("insert into logs (id, at) values (1, now() - interval '3 days'), (2, now() - interval '4 days')")
        frames = book.after(opened, *run)
    assert frames["tables"][0]["late_arrivals"] == 2
    assert frames["tables"][0]["due_remaining"] == 0
