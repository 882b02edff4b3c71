"""Rows leave a default partition while others read and write. Citations: anchors/postgres.md, B1, B2, B5."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tests.harness import postgres as help_
from tests.harness.jobs import all_done, on
from tests.harness.postgres import creation
from upkeep.model import Severity
from upkeep.postgres.partition_creation import JOB, moves

AT = on("2024-02-15 12:00")
POLICY = "partition: {by: at, every: 1 month, ahead: 1, move_default_rows: 200000}"


@pytest.fixture
def db(database: str) -> Any:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "create table public.logs (id bigint generated always as identity, at timestamptz not null, n int, "
            "twice int generated always as (n * 2) stored, primary key (id, at)) partition by range (at)"
        )
        connection.execute("create table public.logs_default partition of public.logs default")
        connection.execute(
            "create table public.logs_0 partition of public.logs for values from ('2024-01-01') to ('2024-02-01')"
        )
        yield connection


def fill(db: psycopg.Connection[Any], rows: int, day: str = "2024-02-02") -> None:
    db.execute(f"insert into public.logs (at, n) select '{day}', g from generate_series(1, {rows}) g")


def content(db: psycopg.Connection[Any], table: str = "public.logs") -> Any:
    return db.execute(f"select count(*), count(distinct id), sum(n), sum(twice) from {table}").fetchone()


@pytest.mark.parametrize("rows", [1, 1500, 5000])
def test_rows_move_whole(database: str, db: psycopg.Connection[Any], rows: int) -> None:
    fill(db, rows)
    fill(db, 3, "3000-01-01")
    before = content(db)
    what = help_.target({"public.logs": POLICY})
    with help_.session(database) as session:
        planned, outcomes = creation(what).run(session, AT)
    assert all_done(outcomes), outcomes
    assert outcomes[0].evidence["rows_copied"] == outcomes[0].evidence["rows_deleted"] == rows
    assert content(db) == before
    assert content(db, "public.logs_2024_02")[0] == rows
    assert content(db, "only public.logs_default")[0] == 3
    said = {f.check for f in planned.findings}
    assert {"default_rows", "default_future_rows"} <= said
    assert leftovers(db) == 0


def leftovers(db: psycopg.Connection[Any]) -> int:
    row = db.execute(
        "select (select count(*) from pg_class where relname like 'upkeep%') "
        "+ (select count(*) from pg_proc where proname like 'upkeep%') "
        "+ (select count(*) from pg_trigger where tgname like '%upkeep%') "
        "+ (select count(*) from pg_constraint where conname like 'upkeep%') "
        "+ (select count(*) from pg_description where description like 'upkeep%')"
    ).fetchone()
    return int(row[0]) if row else -1


def test_over_the_limit_is_reported_and_nothing_else_waits(database: str, db: psycopg.Connection[Any]) -> None:
    # pg_partman#510, #652: never fails the whole run
    fill(db, 50)
    what = help_.target({"public.logs": "partition: {by: at, every: 1 month, ahead: 1, move_default_rows: 49}"})
    with help_.session(database) as session:
        planned, outcomes = creation(what).run(session, AT)
    assert [a.blocked is not None for a in planned.actions] == [True, False]
    assert all_done(outcomes)
    said = next(f for f in planned.findings if f.severity is Severity.ERROR)
    assert said.evidence["rows"] == 50
    assert said.evidence["lower"] == "2024-02-01 00:00:00+00:00"
    assert "move_default_rows" in (said.remedy or "")


def test_null_times_cannot_be_moved_and_are_said(database: str, db: psycopg.Connection[Any]) -> None:
    db.execute("create table public.loose (at timestamptz) partition by range (at)")
    db.execute("create table public.loose_default partition of public.loose default")
    db.execute("insert into public.loose values (null), (null), ('infinity'), ('-infinity')")
    what = help_.target({"public.loose": POLICY})
    with help_.session(database) as session:
        planned, outcomes = creation(what).run(session, AT)
    assert all_done(outcomes)
    said = {f.check: f.evidence["rows"] for f in planned.findings if f.evidence}
    assert said == {"default_null_rows": 2, "default_future_rows": 1, "default_rows": 1}


@pytest.mark.parametrize(
    ("hindrance", "said"),
    [
        ("create table public.r (id bigint, at timestamptz, foreign key (id, at) references public.logs)", "public.r"),
        ("create publication p for table public.logs", "publication p"),
        (
            """create function public.f() returns trigger language plpgsql as 'begin return null; end';
            create trigger audit after delete on public.logs for each row execute function public.f()""",
            "audit",
        ),
    ],
)
def test_rows_that_cannot_leave_unseen_stay(
    database: str, db: psycopg.Connection[Any], hindrance: str, said: str
) -> None:
    fill(db, 10)
    db.execute(hindrance)
    what = help_.target({"public.logs": POLICY})
    with help_.session(database) as session:
        planned, outcomes = creation(what).run(session, AT)
    assert planned.actions[0].blocked is not None
    assert said in planned.actions[0].blocked[1]
    assert all_done(outcomes)
    assert content(db)[0] == 10


@contextmanager
def background(*works: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run each in a thread until the block ends; raise what they raised."""
    stop, errors = threading.Event(), []

    def guarded(one: Callable[[threading.Event], None]) -> None:
        try:
            one(stop)
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=[one]) for one in works]
    for thread in threads:
        thread.start()
    try:
        time.sleep(0.2)
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    if errors:
        raise errors[0]


@pytest.mark.parametrize("direct", [True, False], ids=["at once", "synchronised"])
def test_no_reader_or_writer_loses_or_misses_a_row(
    database: str, db: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch, direct: bool
) -> None:
    fill(db, 4000)
    monkeypatch.setattr(moves, "DIRECT_ROWS", 10_000_000 if direct else 0)
    written: list[int] = []
    deleted: list[int] = []
    counts: list[int] = []
    base = 4000

    def insert(stop: threading.Event) -> None:
        with psycopg.connect(database, autocommit=True) as c:
            while not stop.is_set():
                row = c.execute("insert into public.logs (at, n) values ('2024-02-03', 7) returning id").fetchone()
                written.append(row[0] if row else 0)
                time.sleep(0.002)

    def change(stop: threading.Event) -> None:
        with psycopg.connect(database, autocommit=True) as c:
            low = 1
            while not stop.is_set():
                c.execute("update public.logs set n = n + 1000000 where id = %s", [low])
                c.execute("update public.logs set n = n - 1000000 where id = %s", [low])
                c.execute("delete from public.logs where id = %s", [low + 1])
                deleted.append(low + 1)
                low += 2
                time.sleep(0.003)

    def count(stop: threading.Event) -> None:
        # rows only come and go one by one: a count that jumps has missed or doubled rows
        with psycopg.connect(database, autocommit=True) as c:
            while not stop.is_set():
                low = len(written) - len(deleted) - 1
                row = c.execute("select count(*) from public.logs").fetchone()
                high = len(written) - len(deleted)
                assert row is not None
                counts.append(row[0])
                assert base + min(low, high) - 60 <= row[0] <= base + max(low, high) + 60, (low, row[0], high)

    what = help_.target({"public.logs": POLICY})
    with help_.session(database) as session, background(insert, change, count, count):
        planned, outcomes = creation(what).run(session, AT)
        time.sleep(0.2)
    assert planned.actions[0].args["move"] >= 4000
    assert all_done(outcomes), outcomes
    assert outcomes[0].evidence["rows_copied"] == outcomes[0].evidence["rows_deleted"] >= 3000
    assert len(counts) > 10
    everything = {r[0] for r in db.execute("select id from public.logs").fetchall()}
    assert everything == (set(range(1, 4001)) | set(written)) - set(deleted)
    assert content(db)[0] == len(everything)
    assert content(db, "only public.logs_default")[0] == 0
    assert db.execute("select count(*) from public.logs where id <= 4000 and n <> id").fetchone() == (0,)
    assert leftovers(db) == 0


def test_rows_that_are_alike_are_counted(
    database: str, db: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No key at all, and rows that are equal: the log balances them as a multiset."""
    monkeypatch.setattr(moves, "DIRECT_ROWS", 0)
    db.execute("create table public.bag (at timestamptz not null, j json) partition by range (at)")
    db.execute("create table public.bag_default partition of public.bag default")
    db.execute("insert into public.bag select '2024-02-02', '{\"a\": 1}' from generate_series(1, 500)")
    what = help_.target({"public.bag": POLICY})
    done: list[str] = []

    def meddle(message: str = "", *, rows: int = 0) -> None:
        if message.startswith("copying") and not done:
            done.append(message)
            with psycopg.connect(database, autocommit=True) as c:
                c.execute("delete from public.bag where ctid in (select ctid from public.bag_default limit 3)")
        elif done and len(done) < 2:
            done.append(message)
            with psycopg.connect(database, autocommit=True) as c:
                c.execute("delete from public.bag where ctid in (select ctid from public.bag_default limit 5)")
                c.execute("insert into public.bag select '2024-02-02', '{\"a\": 1}' from generate_series(1, 7)")
                some = "select ctid from public.bag_default limit 2"
                c.execute(f"update public.bag set at = '2024-01-09' where ctid in ({some})")

    db.execute("create table public.bag_0 partition of public.bag for values from ('2024-01-01') to ('2024-02-01')")
    with help_.session(database) as session:
        observation = creation(what).observe(session, AT)
        action = JOB.plan(observation, what).actions[0]
        outcome = creation(what).apply(session, action, observation, checkpoint=meddle)
    assert outcome.status == "done", outcome
    assert outcome.evidence["rows_copied"] == 500 - 3 - 5 + 7 - 2
    assert outcome.evidence["rows_copied_at_first"] == 497
    assert db.execute("select count(*) from public.bag").fetchone() == (499,)
    assert leftovers(db) == 0


def test_a_snapshot_taken_before_sees_each_row_once(database: str, db: psycopg.Connection[Any]) -> None:
    fill(db, 1000)
    what = help_.target({"public.logs": POLICY})
    with help_.session(database) as session, psycopg.connect(database) as old:
        old.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        old.execute("select 1")  # the snapshot; no lock on the table yet
        assert all_done(creation(what).run(session, AT).outcomes)
        assert content(old)[0] == 1000
    assert content(db)[0] == 1000


def test_a_large_default_is_proven_free_before_it_is_locked(
    database: str, db: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(db, 100, "3000-01-01")
    what = help_.target({"public.logs": POLICY})
    sent: list[str] = []
    notices: list[str] = []
    with help_.session(database) as session:
        observation = creation(what).observe(session, on("2024-02-15 12:00"))
        observation.frames["server"][0]["now"] = AT.isoformat()
        observation.frames["defaults"][0]["bytes"] = 10**9
        live, ahead = JOB.plan(observation, what).actions
        session.trace = sent.append
        session.execute(psycopg.sql.SQL("set client_min_messages = debug1"))
        session.connection.add_notice_handler(lambda d: notices.append(d.message_primary or ""))
        outcome = creation(what).apply(session, ahead, observation)
    assert outcome.status == "done", outcome
    assert live.blocked is not None  # no CHECK may refuse its rows
    assert sum("validate constraint" in s for s in sent) == 1
    assert any("updated partition constraint for default partition" in n and "implied" in n for n in notices), notices
    assert leftovers(db) == 0


@pytest.fixture
def other(database: str) -> Any:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def large_default(db: psycopg.Connection[Any], by: str, bounds: str, value: str) -> None:
    """Make a table with one partition and 10 MB in its default partition."""
    db.execute(f"create table public.e (id bigint, k text, pad text) partition by {by}")
    db.execute("create table public.e_default partition of public.e default")
    db.execute(f"create table public.e_0 partition of public.e for values {bounds}")
    db.execute(f"insert into public.e select {value}, repeat('x', 1000) from generate_series(1, 10000) n")
    db.execute("analyze public.e")


@pytest.mark.parametrize("moving", [0, 5])
def test_nobody_waits_while_a_large_default_is_read_for_a_list(
    database: str, other: psycopg.Connection[Any], moving: int
) -> None:
    large_default(other, "list (k)", "in ('eu')", "n, 'zz'")
    other.execute(f"insert into public.e select n, 'us' from generate_series(1, {moving}) n")
    what = help_.target({"public.e": "partition: {by: k, list: {eu: [eu], us: [us]}}"})
    with help_.session(database) as session:
        planned = creation(what).plan(session)
        (action,) = planned.actions
        assert action.blocked is not None
        assert action.blocked[0] == "not_supported"
        waiting = "readers and writers wait" if moving else "while writers wait"
        assert waiting in action.blocked[1]
        (finding,) = [f for f in planned.findings if f.check == "large_default"]
        assert finding.severity is Severity.ERROR
        assert finding.remedy is not None
        other.execute("delete from public.e where k = 'zz'")
        other.execute("vacuum full public.e_default")
        _, outcomes = creation(what).run(session)
    assert all_done(outcomes)
    assert other.execute("select count(*) from public.e_us").fetchone() == (moving,)


def test_ids_far_ahead_are_proven_absent_from_a_large_default(database: str, other: psycopg.Connection[Any]) -> None:
    large_default(other, "range (id)", "from (0) to (1000)", "-n, 'zz'")
    other.execute("insert into public.e values (10)")
    other.execute("create index on public.e (id)")
    what = help_.target({"public.e": "partition: {by: id, unit: id, every: 1000, ahead: 3}"})
    with help_.session(database) as session:
        actions = creation(what).plan(session).actions
        assert [(a.args["lower"], a.blocked is None) for a in actions] == [
            ("1000", False),
            ("2000", True),
            ("3000", True),
        ]
        _, outcomes = creation(what).run(session)
    assert all_done(outcomes), outcomes
    assert len(outcomes) == 2
    assert leftovers(other) == 0
