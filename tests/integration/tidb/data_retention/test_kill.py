"""Killed at every statement: the job by SIGKILL, its session by KILL; and two runs at once.

A process is forked before each run, and killed just before its k-th statement that changes something.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from local.servers import TidbServer
from tests.harness import tidb as help_
from tests.harness.jobs import Runs, all_done, on, undo
from tests.harness.stepping import Stepping
from tests.harness.tidb import Db
from upkeep.errors import CancelledError
from upkeep.model import ReasonCode
from upkeep.tidb import ddl
from upkeep.tidb.engine import ENGINE
from upkeep.tidb.session import TiDBSession
from upkeep.tidb.sql import Sql

pytestmark = pytest.mark.tidb
AT = on("2024-05-15 12:00")
CREATE = "partition: {by: at, every: 1 month, ahead: 2}"
RETAIN = "retain: {by: at, for: 30 days, then: delete, requires: nothing, grace: 0 days}"
ARCHIVE = "retain: {by: at, for: 30 days, then: archive, into: kept, requires: nothing}"
ROWS = 90
TABLES = ("plain", "altered")
READS = ("select", "show", "explain", "set", "/*")


@pytest.fixture
def db(tidb_server: TidbServer) -> Iterator[Db]:
    with help_.fresh(tidb_server) as made:
        yield made


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upkeep.tidb.ddl.LOOK_SECONDS", 0.05)  # at a schema change that a killed run left


def events(db: Db, *, last: str = "2024-06-01", altered: bool = False) -> None:
    for table in db.tables():
        db.run(f"drop table `{table}`")
    db.run(
        "create table events (id bigint not null, at datetime, key (at), key (id)) "
        "partition by range columns (at) (partition p1 values less than ('2024-02-01'), "
        f"partition p2 values less than ('2024-03-01'), partition p3 values less than ('{last}'))"
    )
    if altered:  # its partitions are exchanged with a copy, which takes more steps
        db.run("alter table events ttl = at + interval 9 year ttl_enable = 'OFF'")
        db.run("alter table events drop index at")
        db.run("alter table events add index at (at)")
    db.run("create table kept (id bigint not null, at datetime, key (at), key (id))")
    days = [on("2024-01-01") + timedelta(days=n) for n in range(ROWS)]
    db.many("insert into events values (%s, %s)", [(n, d.replace(tzinfo=None)) for n, d in enumerate(days)])


def changes(text: str) -> bool:
    return not text.startswith(READS) or text.startswith("insert")


Work = Callable[[TiDBSession], object]


def changed(db: Db, work: Work) -> list[str]:
    """Do some work undisturbed; return its changes."""
    sent: list[str] = []
    with help_.session(db) as session:
        session.trace = lambda text: sent.append(text) if changes(text) else None
        work(session)
    return sent


def killed(db: Db, number: int, work: Work) -> None:
    """Do some work in a process of its own that dies before its ``number``-th change."""
    pid = os.fork()
    if pid == 0:
        seen = 0

        def trace(text: str) -> None:
            nonlocal seen
            seen += changes(text)
            if seen == number and changes(text):
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            with help_.session(db) as session:
                session.trace = trace
                work(session)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), number


def killed_at_changes(
    db: Db, stepping: Stepping, test: str, make: Callable[[], Runs], check: Callable[[], None], *, altered: bool = False
) -> int:
    """Kill a run at its changes; after each, as after none, the next run must carry on. Return how many there are."""
    sent: list[str] = []

    def work(session: TiDBSession) -> object:
        return make().run(session, AT)

    def undisturbed(table: str) -> list[str]:
        events(db, altered=table == "altered")
        sent[:] = changed(db, work)
        return list(sent)

    def carried_on(number: int) -> None:
        runs = make()
        runs.intents = [{"kind": "detach_partition", "subject": "", "args": {"oid": i}} for i in partition_ids(db)]
        with help_.session(db) as session:
            assert runs.until_done(session, AT).plan.actions == (), number
        check()

    numbers = stepping.steps(test, TABLES, TABLES[altered], undisturbed)
    carried_on(0)
    for number in numbers:
        events(db, altered=altered)
        killed(db, number, work)
        carried_on(number)
    return len(sent)


def partition_ids(db: Db) -> list[int]:
    """Return every id that the ledger would remember as begun."""
    rows = db.run("select tidb_table_id from information_schema.tables where table_schema = %s", (db.name,))
    more = db.run(
        "select tidb_partition_id from information_schema.partitions where table_schema = %s "
        "and tidb_partition_id is not null",
        (db.name,),
    )
    return [int(r[0]) for r in [*rows, *more]]


def test_creation_killed_at_every_statement(db: Db, stepping: Stepping) -> None:
    def check() -> None:
        assert db.bounds("events")[-3:] == ["2024-06-01", "2024-07-01", "2024-08-01"]

    what = help_.target({"events": CREATE})
    assert killed_at_changes(db, stepping, "creation", lambda: Runs("partition_creation", what), check) >= 1


@pytest.mark.parametrize("altered", [False, True])
def test_detaching_and_dropping_killed_at_every_statement(db: Db, stepping: Stepping, *, altered: bool) -> None:
    def check() -> None:
        assert db.bounds("events") == ["2024-03-01", "2024-06-01"]
        assert db.value("select count(*) from events") == ROWS - 60
        assert sorted(db.tables()) == ["events", "kept"]

    what = help_.target({"events": RETAIN}, more="limits: {share: 100 %}")
    found = killed_at_changes(db, stepping, "detaching", lambda: Runs("data_retention", what), check, altered=altered)
    assert found >= (16 if altered else 8)


def test_archiving_killed_at_every_statement(db: Db, stepping: Stepping) -> None:
    def check() -> None:
        assert db.value("select count(*) from events") + db.value("select count(*) from kept") == ROWS
        assert db.value("select count(*) from kept") == 60
        assert db.value("select count(distinct id) from kept") == 60
        assert db.bounds("events") == ["2024-03-01", "2024-06-01"]

    what = help_.target({"events": ARCHIVE}, more="limits: {share: 100 %}")
    assert killed_at_changes(db, stepping, "archiving", lambda: Runs("data_retention", what), check) >= 7


@pytest.mark.parametrize("altered", [False, True])
def test_putting_back_killed_at_every_statement(db: Db, stepping: Stepping, *, altered: bool) -> None:
    """Rows that arrived in its range meanwhile are there in the end, and nothing of the undo is left."""
    what = help_.target({"events": RETAIN.replace("0 days", "7 days")}, more="limits: {share: 100 %}")

    def detached(table: str) -> tuple[Runs, Any]:
        events(db, altered=table == "altered")
        runs = Runs("data_retention", what)
        with help_.session(db) as session:
            planned, outcomes = runs.run(session, AT)
        db.run("insert into events values (5000, '2024-02-10')")
        return runs, next(p for p in zip(planned.actions, outcomes, strict=True) if p[0].args["partition"] == "p2")

    def undisturbed(table: str) -> list[str]:
        runs, pair = detached(table)
        sent = changed(db, lambda session: undo(runs.job, session, *pair))
        carried_on(runs, 0)
        return sent

    def carried_on(runs: Runs, number: int) -> None:
        with help_.session(db) as session:
            for _ in range(2):
                _, outcomes = runs.run(session, AT)
                assert all_done(outcomes), (number, outcomes)
        tables = [t for t in db.tables() if t != "kept"]
        assert sum(db.value(f"select count(*) from `{t}`") for t in tables) == ROWS + 1, number
        assert len(tables) == 3, (number, tables)  # the table, and its two partitions that are due: detached again

    for number in stepping.steps("putting back", TABLES, TABLES[altered], undisturbed):
        runs, pair = detached(TABLES[altered])
        killed(db, number, lambda session, r=runs, p=pair: undo(r.job, session, *p))  # type: ignore[misc]
        with help_.session(db) as session:
            undone = undo(runs.job, session, *pair)
        assert undone.status == "done", (number, undone)
        carried_on(runs, number)


def test_two_runs_at_once(db: Db) -> None:
    for policy, job in ((CREATE, "partition_creation"), (RETAIN, "data_retention"), (ARCHIVE, "data_retention")):
        events(db)
        outcomes: list[Any] = []

        def run(policy: str = policy, job: str = job, outcomes: list[Any] = outcomes) -> None:
            runs = Runs(job, help_.target({"events": policy}, more="limits: {share: 100 %}"))
            with help_.session(db) as session:
                outcomes += runs.run(session, AT).outcomes

        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {o.status for o in outcomes} <= {"done", "skipped"}, outcomes
        total = db.value("select count(*) from events") + db.value("select count(*) from kept")
        assert total == (ROWS - 60 if policy == RETAIN else ROWS)
        assert db.value("select count(distinct id) from kept") == db.value("select count(*) from kept")


def test_a_killed_session_is_a_lost_connection_and_the_next_run_carries_on(db: Db) -> None:
    events(db)
    runs = Runs("data_retention", help_.target({"events": ARCHIVE}, more="limits: {share: 100 %}"))
    with help_.session(db) as session:
        victim = session

        def trace(text: str) -> None:
            if text.startswith("delete"):
                db.run(f"kill tidb {victim.connection_id}")
                time.sleep(0.2)

        session.trace = trace
        _, outcomes = runs.run(session, AT)
    assert outcomes[0].reason_code == ReasonCode.CONNECTION_LOST, outcomes
    assert db.value("select count(*) from kept") == 0
    with help_.session(db) as session:
        assert all_done(runs.run(session, AT).outcomes)
    assert db.value("select count(*) from kept") == 60


def test_a_cancelled_statement_is_gone_from_the_server(db: Db) -> None:
    events(db)
    other = db.connect()
    other.begin()
    other.cursor().execute("update events set id = 1000 where id = 1")
    with help_.session(db) as session:
        session.rows("lock_wait", {"seconds": 50})
        timer = threading.Timer(0.5, session.cancel)
        timer.start()
        started = time.monotonic()
        with pytest.raises(CancelledError):
            session.execute(Sql("delete from events where id = 1"))
        assert time.monotonic() - started < 10
        with pytest.raises(CancelledError):
            session.now()
        timer.join()
    other.rollback()
    assert db.value("select count(*) from events") == ROWS


def test_a_schema_change_that_waits_is_cancelled_with_the_task(db: Db) -> None:
    db.uri = db.admin_uri  # to take back a schema change takes SUPER
    events(db)
    other = db.connect()
    other.begin()
    other.cursor().execute("select * from events limit 1")  # an old transaction: the change waits for it
    runs = Runs("partition_creation", help_.target({"events": CREATE}))
    try:
        with help_.session(db) as session:
            begun = threading.Event()
            session.trace = lambda text: begun.set() if text.startswith("alter") else None

            def cancel() -> None:
                begun.wait(20)
                time.sleep(1)
                session.cancel()

            thread = threading.Thread(target=cancel)
            thread.start()
            with pytest.raises(CancelledError):
                runs.run(session, AT)
            thread.join()
    finally:
        other.rollback()
        other.close()
    time.sleep(0.5)
    with help_.session(db) as session:
        assert ddl.jobs(session) == []
        assert db.bounds("events") == ["2024-02-01", "2024-03-01", "2024-06-01"]
        assert all_done(runs.run(session, AT).outcomes)


def test_a_schema_change_that_takes_too_long_is_given_up_and_reported(db: Db, monkeypatch: pytest.MonkeyPatch) -> None:
    db.uri = db.admin_uri  # to take back a schema change takes SUPER
    events(db)
    monkeypatch.setattr("upkeep.tidb.partition_creation.apply.ddl.WAIT_SECONDS", 2.0)
    other = db.connect()
    other.begin()
    other.cursor().execute("select * from events limit 1")
    runs = Runs("partition_creation", help_.target({"events": CREATE}))
    with help_.session(db) as session:
        _, outcomes = runs.run(session, AT)
        assert [o.reason_code for o in outcomes] == [ReasonCode.LOCK_NOT_OBTAINED], outcomes
        me = other.thread_id()
        assert f"held by connection {me} ({db.server.user}@127.0.0.1" in str(outcomes[0].message)
        assert "in a transaction since 20" in str(outcomes[0].message)
        assert "select *" not in str(outcomes[0].message)
        db.run("create user if not exists small")
        db.run(f"grant all on {db.name}.* to small")
        db.run("grant select on mysql.tidb to small")
        with ENGINE.open(help_.address(db, user="small", password=""), application="upkeep test") as small:
            _, outcomes = runs.run(small, AT)
        assert [o.reason_code for o in outcomes] == [ReasonCode.LOCK_NOT_OBTAINED], outcomes
        assert "who holds it cannot be seen: grant process" in str(outcomes[0].message)
        db.run("drop user small")
        other.rollback()
        assert all_done(runs.run(session, AT).outcomes)
    assert isinstance(session, TiDBSession)


def test_writers_lose_nothing_while_partitions_go(db: Db) -> None:
    events(db)
    stop, failures = threading.Event(), []
    written: list[int] = []

    def write() -> None:
        number = 1000
        with db.connect() as connection, connection.cursor() as cursor:
            while not stop.is_set():
                number += 1
                when = (None, "2024-01-05", "2024-02-05", "2024-05-02")[number % 4]
                try:
                    cursor.execute("insert into events values (%s, %s)", (number, when))
                    written.append(number)
                except Exception as error:  # noqa: BLE001 - the test says which
                    failures.append(str(error))
                stop.wait(0.002)

    policy = RETAIN.replace("0 days", "7 days")
    runs = Runs("data_retention", help_.target({"events": policy}, more="limits: {share: 100 %}"))
    thread = threading.Thread(target=write)
    with help_.session(db) as session:
        observed = runs.observe(session, AT)
        planned = runs.job.plan(observed, runs.what)
        thread.start()
        outcomes = [runs.apply(session, a, observed) for a in planned.actions]
        time.sleep(0.2)
        stop.set()
        thread.join()
    assert failures == []
    assert any(o.status == "done" for o in outcomes), outcomes
    tables = [t for t in db.tables() if t != "kept"]
    total = sum(db.value(f"select count(*) from `{t}`") for t in tables)
    assert total == ROWS + len(written)
    detached = [t for t in tables if t != "events"]
    assert sum(db.value(f"select count(*) from `{t}` where at is null") for t in detached) == 0
