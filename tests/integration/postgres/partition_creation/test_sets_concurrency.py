"""Lists, hashes and sub-partitions are created while others read and write: no insert fails, no row is lost."""

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
from upkeep.postgres.partition_creation import moves

pytestmark = pytest.mark.alone

AT = on("2024-02-15 12:00")
ROWS = 3000
KINDS = {
    "list → hash": "partition: {by: k, list: {eu: [eu], us: [us, null]}, subpartition: {by: id, modulus: 3}}",
    "list → range": "partition: {by: k, list: {us: [us, null]}, subpartition: {by: at, every: 1 month, ahead: 1}}",
    "list": "partition: {by: k, list: {eu: [eu], us: [us, null]}}",
    "below": "partition: {by: k, list: {eu: [eu]}, subpartition: {by: at, every: 1 month, ahead: 1}}",
}


@pytest.fixture
def db(database: str) -> Any:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "create table public.t (id bigint generated always as identity, at timestamptz not null, k text, n int) "
            "partition by list (k)"
        )
        connection.execute("create index on public.t (id)")
        yield connection


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
@pytest.mark.parametrize("kind", KINDS)
def test_no_row_of_the_default_is_missed_while_it_moves(
    database: str, db: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch, kind: str, direct: bool
) -> None:
    monkeypatch.setattr(moves, "DIRECT_ROWS", 10_000_000 if direct else 0)
    value = "'eu'" if kind == "below" else "'us'"
    if kind == "below":
        db.execute("create table public.t_eu partition of public.t for values in ('eu') partition by range (at)")
        db.execute("create table public.t_rest partition of public.t_eu default")
    else:
        db.execute("create table public.t_rest partition of public.t default")
    db.execute(f"insert into public.t (at, k, n) select '2024-02-02', {value}, g from generate_series(1, {ROWS}) g")
    written: list[int] = []
    deleted: list[int] = []

    def insert(stop: threading.Event) -> None:
        with psycopg.connect(database, autocommit=True) as c:
            while not stop.is_set():
                one = f"insert into public.t (at, k, n) values ('2024-02-03', {value}, 7) returning id"
                row = c.execute(one).fetchone()
                written.append(row[0] if row else 0)
                time.sleep(0.002)

    def change(stop: threading.Event) -> None:
        with psycopg.connect(database, autocommit=True) as c:
            low = 1
            while not stop.is_set():
                c.execute("update public.t set n = n + 1000000 where id = %s", [low])
                c.execute("update public.t set n = n - 1000000 where id = %s", [low])
                c.execute("delete from public.t where id = %s", [low + 1])
                deleted.append(low + 1)
                low += 2
                time.sleep(0.003)

    def count(stop: threading.Event) -> None:
        with psycopg.connect(database, autocommit=True) as c:
            while not stop.is_set():
                low = len(written) - len(deleted) - 1
                row = c.execute("select count(*) from public.t").fetchone()
                high = len(written) - len(deleted)
                assert row is not None
                assert ROWS + min(low, high) - 60 <= row[0] <= ROWS + max(low, high) + 60, (low, row[0], high)

    what = help_.target({"public.t": KINDS[kind]})
    with help_.session(database) as session, background(insert, change, count):
        planned, outcomes = creation(what).run(session, AT)
        time.sleep(0.2)
    assert all_done(outcomes), outcomes
    assert sum(a.args["move"] for a in planned.actions) >= ROWS - 500
    everything = {r[0] for r in db.execute("select id from public.t").fetchall()}
    assert everything == (set(range(1, ROWS + 1)) | set(written)) - set(deleted)
    assert db.execute("select count(*) from public.t").fetchone() == (len(everything),)
    assert db.execute("select count(*) from public.t_rest").fetchone() == (0,)
    assert db.execute(f"select count(*) from public.t where id <= {ROWS} and n <> id").fetchone() == (0,)
    left = "select count(*) from pg_class where relname like 'upkeep%'"
    assert db.execute(left).fetchone() == (0,)


def test_writers_pass_while_many_are_created(database: str, db: psycopg.Connection[Any]) -> None:
    db.execute("create table public.t_0 partition of public.t for values in ('v0') partition by hash (id)")
    for remainder in range(4):
        db.execute(f"create table public.t_0_{remainder} partition of public.t_0 "
                   f"for values with (modulus 4, remainder {remainder})")  # fmt: skip
    lists = ", ".join(f"l{n}: [v{n}]" for n in range(20))
    what = help_.target({"public.t": f"partition: {{by: k, list: {{{lists}}}, subpartition: {{by: id, modulus: 4}}}}"})
    written = [0]

    def insert(stop: threading.Event) -> None:
        with psycopg.connect(database, autocommit=True) as c:
            number = 0
            while not stop.is_set():
                number += 1
                c.execute("insert into public.t (at, k, n) values (now(), 'v0', 1)")
                written[0] += 1
                try:  # a new partition takes rows from the moment it is there: never "no partition of t_1 found"
                    c.execute("insert into public.t (at, k, n) values (now(), %s, 1)", [f"v{number % 20}"])
                    written[0] += 1
                except psycopg.errors.CheckViolation as error:
                    assert 'no partition of relation "t" found' in str(error)  # noqa: PT017

    with help_.session(database) as session, background(insert, insert):
        planned, outcomes = creation(what).run(session, AT)
        time.sleep(0.2)
    assert len(planned.actions) == 19
    assert all_done(outcomes), outcomes
    assert db.execute("select count(*) from public.t").fetchone() == (written[0],)
    assert written[0] > 100
