"""Others hold locks: the job gives up in time, leaves no waiter, and goes on with the next. Anchors: B4, B5, B8, B9."""

from __future__ import annotations

import threading
import time
from typing import Any

import psycopg
import pytest

from tests.harness import postgres as help_
from tests.harness.jobs import all_done, on
from tests.harness.postgres import creation
from upkeep.model import Outcome
from upkeep.postgres import ddl
from upkeep.postgres.partition_creation import JOB, apply

pytestmark = pytest.mark.alone

AT = on("2024-02-15 12:00")
POLICY = "partition: {by: at, every: 1 month, ahead: 1}"
SHORT = ddl.LockRetry(attempts=3, budget=8.0, last_sleep=0.2)


@pytest.fixture
def db(database: str) -> Any:
    with psycopg.connect(database, autocommit=True) as connection:
        for name in ("logs", "other"):
            parent = f"public.{name}"
            connection.execute(f"create table {parent} (id bigint, at timestamptz not null) partition by range (at)")
            connection.execute(f"create table {parent}_default partition of {parent} default")
            january = "for values from ('2024-01-01') to ('2024-02-01')"
            connection.execute(f"create table {parent}_0 partition of {parent} {january}")
        connection.execute("insert into public.logs values (1, '3000-01-01')")
        yield connection


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "RETRY", SHORT)


def waiters(db: psycopg.Connection[Any]) -> int:
    row = db.execute("select count(*) from pg_locks where not granted and pid <> pg_backend_pid()").fetchone()
    return int(row[0]) if row else -1


@pytest.mark.parametrize(
    "held",
    [
        "select from public.logs_default",
        "select from public.logs where at > '2024-01-01'",
        "lock table public.logs in share mode",
        "lock table public.logs in access exclusive mode",
        "lock table public.logs_default in row exclusive mode",
    ],
)
def test_a_lock_held_for_long(database: str, db: psycopg.Connection[Any], short: None, held: str) -> None:
    # pg_partman#626, #604, #240: never queue in front of writers; #732: the other tables go on
    what = help_.target({"public.logs": POLICY, "public.other": POLICY})
    with help_.session(database) as session:
        observation = creation(what).observe(session, AT)
        actions = JOB.plan(observation, what).actions
        with psycopg.connect(database) as holder:
            holder.execute(held)
            started = time.monotonic()
            outcomes = [creation(what).apply(session, a, observation) for a in actions]
            assert time.monotonic() - started < 2 * (SHORT.budget + 4)
            assert waiters(db) == 0
            seen = creation(what).observe(session, AT)
        by_table = [(a.subject, o.status.value, o.reason_code) for a, o in zip(actions, outcomes, strict=True)]
        assert by_table == [
            ("public.logs", "skipped", "lock_not_obtained"),
            ("public.logs", "skipped", "lock_not_obtained"),
            ("public.other", "done", None),
            ("public.other", "done", None),
        ]
        before = JOB.frames(seen, what, "before", None, [])["tables"]
        assert before[0]["blocking_seconds"] > 0 or "logs where" in held
        assert all_done(creation(what).run(session, AT).outcomes)


def test_others_wait_no_longer_than_the_lock_timeout(database: str, db: psycopg.Connection[Any], short: None) -> None:
    what = help_.target({"public.logs": POLICY})
    waits: list[float] = []
    stop = threading.Event()

    def write() -> None:
        with psycopg.connect(database, autocommit=True) as c:
            while not stop.is_set():
                started = time.monotonic()
                c.execute("insert into public.logs values (2, '2024-01-05'), (3, '2999-01-01')")
                waits.append(time.monotonic() - started)

    with help_.session(database) as session, psycopg.connect(database) as holder:
        holder.execute("select from public.logs_default")  # writers of the default queue behind our tries
        writer = threading.Thread(target=write)
        writer.start()
        outcomes = creation(what).run(session, AT).outcomes
        stop.set()
        writer.join()
    assert [o.reason_code for o in outcomes] == ["lock_not_obtained"] * 2
    assert len(waits) > 50
    assert max(waits) < SHORT.last_wait + 0.4  # a busy machine's scheduling on top


def test_locks_taken_in_the_other_order_do_not_deadlock(database: str, db: psycopg.Connection[Any]) -> None:
    # pg_partman#796, #91: somebody locks the default first, then the parent
    what = help_.target({"public.logs": POLICY})
    db.execute("insert into public.logs values (5, '2024-02-05')")
    errors: list[BaseException] = []

    def other() -> None:
        try:
            for _ in range(10):
                with psycopg.connect(database) as c:
                    c.execute("lock table public.logs_default in exclusive mode")
                    time.sleep(0.02)
                    c.execute("insert into public.logs values (6, '2024-01-06')")
        except psycopg.Error as error:
            errors.append(error)

    thread = threading.Thread(target=other)
    with help_.session(database) as session:
        thread.start()
        outcomes = creation(what).run(session, AT).outcomes
        thread.join()
    assert errors == []
    assert all_done(outcomes), outcomes
    assert db.execute("select count(*) from public.logs").fetchone() == (12,)


def test_two_runs_at_once(database: str, db: psycopg.Connection[Any]) -> None:
    db.execute("insert into public.logs select g, '2024-02-05' from generate_series(1, 5000) g")
    what = help_.target({"public.logs": POLICY, "public.other": POLICY})
    outcomes: list[Outcome] = []
    ready = threading.Barrier(2)

    def one() -> None:
        with help_.session(database) as session:
            observation = creation(what).observe(session, AT)
            actions = JOB.plan(observation, what).actions
            ready.wait()
            outcomes.extend(creation(what).apply(session, a, observation) for a in actions)

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {o.reason_code for o in outcomes} <= {None, "lock_not_obtained"}, outcomes
    with help_.session(database) as session:
        creation(what).run(session, AT)
        assert creation(what).plan(session, AT).actions == ()
    assert db.execute("select count(*) from public.logs").fetchone() == (5001,)


def test_cancel_from_another_thread_ends_the_statement(database: str, db: psycopg.Connection[Any]) -> None:
    from upkeep.errors import CancelledError  # noqa: PLC0415

    what = help_.target({"public.logs": POLICY})
    with help_.session(database) as session, psycopg.connect(database) as holder:
        observation = creation(what).observe(session, AT)
        action = JOB.plan(observation, what).actions[0]
        holder.execute("lock table public.logs in access exclusive mode")
        threading.Timer(0.5, session.cancel).start()
        started = time.monotonic()
        with pytest.raises(CancelledError):
            creation(what).apply(session, action, observation)
        assert time.monotonic() - started < 5
        assert waiters(db) == 0
