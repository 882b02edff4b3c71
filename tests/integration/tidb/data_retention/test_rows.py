"""Row-wise retention on a real TiDB: deletes and archives in batches."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pymysql
import pytest

from local.servers import TidbServer
from tests.harness import tidb as help_
from tests.harness.jobs import Runs, all_done, on
from tests.harness.tidb import Db
from upkeep import gates
from upkeep.jobs.data_retention import pace
from upkeep.model import ReasonCode
from upkeep.tidb.session import TiDBSession

pytestmark = pytest.mark.tidb
DELETE = "retain: {by: at, for: 30 days, then: delete, precision: row, requires: nothing}"
ARCHIVE = "retain: {by: at, for: 30 days, then: archive, into: kept, precision: row, requires: nothing}"
AT = on("2024-05-15 12:00")


@pytest.fixture
def db(tidb_server: TidbServer) -> Iterator[Db]:
    with help_.fresh(tidb_server) as made:
        yield made


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upkeep.tidb.data_retention.batches.SMALLEST", 0)
    monkeypatch.setattr(pace.Pace.__init__, "__defaults__", (50, pace.TARGET_SECONDS, pace.LARGEST, None))
    monkeypatch.setattr(pace.Pace, "learn", lambda *_: None)


def logs(db: Db, *, key: str = "id bigint primary key", rows: int = 400, index: str = ", key (at)") -> None:
    """Half of the rows are due; then a row without a time, one with the zero date, and one at the cut-off."""
    db.run(f"create table logs ({key}, at datetime, msg varchar(40) {index})")
    half = rows // 2
    values = [(n, f"2024-01-{n % 28 + 1:02d} 00:00:{n % 60:02d}", f"old {n}") for n in range(half)]
    values += [(half + n, f"2024-05-{n % 10 + 1:02d}", "new") for n in range(half)]
    db.many("insert into logs (id, at, msg) values (%s, %s, %s)", values)
    db.run("set sql_mode = ''")
    db.run("insert into logs (id, at) values (9001, null), (9002, '0000-00-00'), (9003, '2024-04-15 12:00')")


def retention(policy: str = DELETE) -> Runs:
    return Runs("data_retention", help_.target({"logs": policy}, more="limits: {share: 100 %}"))


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize(
    ("key", "index"),
    [
        ("id bigint primary key", ", key (at)"),
        ("id bigint", ", key (at)"),
        ("id bigint primary key nonclustered", ""),
        ("id bigint, k varchar(10) not null default 'a''`b'", ", primary key (k, id) clustered"),
    ],
)
def test_exactly_the_due_rows_go(db: Db, key: str, index: str) -> None:
    logs(db, key=key, index=index)
    runs = retention()
    with help_.session(db) as session:
        planned, outcomes = runs.run(session, AT)
        assert all_done(outcomes), outcomes
        assert outcomes[0].rows == 200
        assert outcomes[0].evidence["batches"] >= 4
        assert outcomes[0].evidence["emptied"]
        assert runs.plan(session, AT).actions == ()
        frames = runs.after(session, planned, outcomes)
    assert gates.evaluate("data_retention", "tidb", "after", frames).success
    assert db.value("select count(*) from logs") == 203
    assert db.value("select count(*) from logs where id > 9000") == 3


@pytest.mark.usefixtures("small_batches")
def test_many_rows_of_one_age_go_by_key(db: Db) -> None:
    logs(db, rows=40)
    db.many("insert into logs (id, at) values (%s, %s)", [(1000 + n, "2024-02-02 02:02:02") for n in range(333)])
    runs = retention(ARCHIVE)
    db.run("create table kept like logs")
    with help_.session(db) as session:
        _, outcomes = runs.run(session, AT)
    assert [(o.status, o.rows) for o in outcomes] == [("done", 353)]
    assert db.value("select count(*) from kept") == 353
    assert db.value("select count(*) from logs") == 23


@pytest.mark.usefixtures("small_batches")
def test_archived_rows_are_the_deleted_rows(db: Db) -> None:
    logs(db)
    db.run("create table kept (id bigint primary key, at datetime(3), msg varchar(80), n int default 1)")
    before = db.run("select id, at, msg from logs where id < 200 order by id")
    runs = retention(ARCHIVE)
    with help_.session(db) as session:
        planned, outcomes = runs.run(session, AT)
        frames = runs.after(session, planned, outcomes)
    (outcome,) = outcomes
    assert outcome.evidence["rows_copied"] == outcome.evidence["rows_deleted"] == 200
    assert gates.evaluate("data_retention", "tidb", "after", frames).success
    assert db.run("select id, at, msg from kept order by id") == before


def test_column_drift_is_found_before_anything_moves(db: Db) -> None:
    # B26, opendxp#185: TEXT into VARCHAR cut silently
    logs(db)
    db.run("create table kept (id bigint primary key, at datetime not null, msg varchar(10))")
    runs = retention(ARCHIVE)
    with help_.session(db) as session:
        observation = runs.observe(session, AT)
    planned = runs.job.plan(observation, runs.what)
    assert [a.blocked is not None for a in planned.actions] == [True]
    drift = {f.summary for f in planned.findings if f.check == "archive_drift"}
    assert len(drift) == 2
    frames = runs.job.frames(observation, runs.what, "before", None, [])
    assert gates.evaluate("data_retention", "tidb", "before", frames).stopped_subjects == {f"{db.name}.logs"}


def test_a_row_that_is_in_the_archive_already_stops_its_batch(db: Db) -> None:
    logs(db)
    db.run("create table kept like logs")
    db.run("insert into kept (id, msg) values (7, 'secret')")
    runs = retention(ARCHIVE)
    with help_.session(db) as session:
        _, outcomes = runs.run(session, AT)
    assert (outcomes[0].status, outcomes[0].reason_code) == ("failed", ReasonCode.ERROR)
    assert "archive already" in str(outcomes[0].message)
    assert "secret" not in str(outcomes[0].message)
    assert db.value("select count(*) from logs") == 403


def test_without_an_index_a_large_table_is_refused_with_the_remedy(db: Db, monkeypatch: pytest.MonkeyPatch) -> None:
    logs(db, index="")
    monkeypatch.setattr("upkeep.tidb.data_retention.observe.SMALL_ROWS", 100)
    runs = retention()
    with help_.session(db) as session:
        planned = runs.plan(session, AT)
    (refusal,) = [f for f in planned.findings if f.check == "age_index"]
    assert "create index idx_at" in str(refusal.remedy)
    assert planned.actions[0].blocked is not None


def test_cascades_are_refused_unless_declared_and_referred_rows_stay(db: Db) -> None:
    logs(db)
    db.run(
        "create table notes (id int primary key, log bigint, foreign key (log) references logs (id) on delete cascade)"
    )
    db.run("create table holds (id int primary key, log bigint, foreign key (log) references logs (id))")
    db.run("insert into notes values (1, 5)")
    db.run("insert into holds values (1, 6)")
    with help_.session(db) as session:
        planned = retention().plan(session, AT)
        assert planned.actions[0].blocked is not None
        assert "foreign_keys" in {f.check for f in planned.findings}
        declared = retention(DELETE.replace("precision", "cascades: declared, precision"))
        _, outcomes = declared.run(session, AT)
    assert outcomes[0].rows == 199
    assert db.value("select count(*) from logs where id = 6") == 1
    assert db.value("select count(*) from notes") == 0


@pytest.mark.usefixtures("small_batches")
def test_rows_held_by_others_are_left_to_the_next_run(db: Db) -> None:
    logs(db)
    other = db.connect()
    other.begin()
    other.cursor().execute("update logs set msg = 'held' where id = 0")
    runs = retention()
    with help_.session(db) as session:
        _, outcomes = runs.run(session, AT, sleep=lambda _: None)
        assert outcomes[0].reason_code == ReasonCode.LOCK_NOT_OBTAINED
        assert f"held by connection {other.thread_id()} (" in str(outcomes[0].message)
        assert 0 < (outcomes[0].rows or 0) < 200
        other.rollback()
        _, outcomes = runs.run(session, AT)
    assert all_done(outcomes)
    assert db.value("select count(*) from logs") == 203


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("policy", [DELETE, ARCHIVE])
def test_writers_lose_nothing_and_rows_made_younger_stay(db: Db, policy: str) -> None:
    logs(db, rows=1200)
    db.run("create table kept like logs")
    stop = threading.Event()
    moved: list[int] = []
    failures: list[str] = []

    def write() -> None:
        with db.connect() as connection, connection.cursor() as cursor:
            number = 100_000
            while not stop.is_set():
                number += 1
                victim = 599 - (number % 600)
                try:
                    cursor.execute("update logs set at = '2024-05-14', msg = 'young' where id = %s", (victim,))
                    if cursor.rowcount:
                        moved.append(victim)
                    cursor.execute("insert into logs (id, at, msg) values (%s, '2024-01-01', 'late')", (number,))
                except pymysql.MySQLError as error:
                    if error.args[0] not in (1205, 9007, 1213, 8002):
                        failures.append(str(error))
                stop.wait(0.01)

    writer = threading.Thread(target=write)
    writer.start()
    runs = retention(policy)
    with help_.session(db) as session:
        _, outcomes = runs.run(session, AT)
        stop.set()
        writer.join()
        assert failures == []
        assert outcomes[0].status == "done" or outcomes[0].reason_code == ReasonCode.LOCK_NOT_OBTAINED, outcomes
        _, second = runs.run(session, AT)
    rows = (outcomes[0].rows or 0) + sum(o.rows or 0 for o in second)
    young = db.value("select count(*) from logs where msg = 'young'")
    assert young == len(set(moved))
    if policy == ARCHIVE:
        assert db.value("select count(*) from kept") == rows
        assert db.value("select count(*) from kept where msg = 'young'") == 0
        assert db.value("select count(*) from kept join logs using (id)") == 0


def test_a_transaction_too_large_is_halved(db: Db) -> None:
    logs(db, rows=4000)
    db.run("update logs set msg = repeat('x', 40)")
    db.run("create table kept like logs")
    runs = retention(ARCHIVE)
    with help_.session(db) as session:
        refused: list[int] = []
        execute = session.execute

        def limited(statement: Any) -> Any:
            if statement.text.startswith("insert") and len(refused) < 2:
                refused.append(1)
                raise pymysql.OperationalError(8004, "Transaction is too large, size: 104857600")
            return execute(statement)

        session.execute = limited  # type: ignore[method-assign]
        _, outcomes = runs.run(session, AT)
    assert [(o.status, o.rows) for o in outcomes] == [("done", 2000)]
    assert db.value("select count(*) from kept") == 2000
    assert outcomes[0].evidence["batches"] > 1


def test_the_servers_memory_limit_is_met_by_smaller_batches(db: Db) -> None:
    db.run("create table logs (id bigint primary key, at datetime, msg mediumtext, key (at))")
    db.many("insert into logs values (%s, '2024-01-01', repeat('x', 100000))", [(n,) for n in range(160)])
    db.run("create table kept like logs")
    runs = retention(ARCHIVE)
    with help_.session(db) as session:
        with session._connection.cursor() as cursor:
            cursor.execute("set session tidb_mem_quota_query = 12 << 20")
        _, outcomes = runs.run(session, AT)
    assert [(o.status, o.rows) for o in outcomes] == [("done", 160)], outcomes
    assert outcomes[0].evidence["batches"] > 1


def test_time_zones_of_sessions_and_columns(db: Db) -> None:
    db.run("create table logs (id int primary key, at timestamp, key (at))")
    db.run("set time_zone = '+00:00'")
    db.run("insert into logs values (1, '2024-04-15 11:59:59'), (2, '2024-04-15 12:00:00')")
    db.run("set global time_zone = '-09:00'")
    try:
        runs = retention()
        with help_.session(db) as session:
            assert isinstance(session, TiDBSession)
            _, outcomes = runs.run(session, AT)
    finally:
        db.run("set global time_zone = 'SYSTEM'")
    assert outcomes[0].rows == 1
    assert db.run("select id from logs") == [(2,)]


def test_an_epoch_column_and_hostile_names(db: Db) -> None:
    db.run("create table `lo``gs; drop table x%s` (id int primary key, `a``t` bigint, key (`a``t`))")
    name = "`lo``gs; drop table x%s`"
    db.run(f"insert into {name} values (1, 1704067200), (2, 1715000000), (3, null)")
    policy = DELETE.replace("by: at", "by: '`a``t`', unit: seconds")
    runs = Runs("data_retention", help_.target({name: policy}, more="limits: {share: 100 %}"))
    with help_.session(db) as session:
        _, outcomes = runs.run(session, AT)
    assert [o.rows for o in outcomes] == [1]
    assert db.run(f"select id from {name} order by id") == [(2,), (3,)]


@pytest.mark.parametrize(
    "change", ["alter table logs add column note text", "alter table kept modify column msg varchar(90)"]
)
def test_columns_that_change_after_the_plan_stop_the_archive(db: Db, change: str) -> None:
    logs(db)
    db.run("create table kept like logs")
    runs = retention(ARCHIVE)
    with help_.session(db) as session:
        observation = runs.observe(session, AT)
        (action,) = runs.job.plan(observation, runs.what).actions
        db.run(change)
        outcome = runs.apply(session, action, observation)
    assert (outcome.status, outcome.reason_code) == ("skipped", ReasonCode.STATE_CHANGED), outcome
    assert db.value("select count(*) from logs") == 403
    assert db.value("select count(*) from kept") == 0


@pytest.mark.parametrize("type_", ["date", "datetime", "datetime(3)"])
@pytest.mark.parametrize("policy", [DELETE, ARCHIVE])
def test_dates_with_zeros_are_no_times(db: Db, type_: str, policy: str) -> None:
    db.run(f"create table logs (id int primary key, at {type_}, key (at))")
    db.run("create table kept like logs")
    db.run("set sql_mode = ''")
    odd = ["2023-00-10", "2024-01-00", "2024-00-00", "0000-00-00"]
    days = [*odd, "2024-01-01", "2023-12-31", "2024-05-10"]
    db.many("insert into logs values (%s, %s)", list(enumerate(days)))
    runs = retention(policy)
    with help_.session(db) as session:
        planned, outcomes = runs.run(session, AT)
        assert [(o.status, o.rows) for o in outcomes] == [("done", 2)], outcomes
        assert planned.actions[0].rows == 2
        (found,) = [f for f in planned.findings if f.check == "zero_dates"]
        assert found.evidence["rows"] == 3  # 0000-00-00 is MySQL's way to say unknown, as NULL
        assert runs.plan(session, AT).actions == ()
    assert db.run("select id from logs order by id") == [(0,), (1,), (2,), (3,), (6,)]


@pytest.mark.parametrize(
    ("unit", "value", "fits"),
    [
        ("milliseconds", 1704067200, "seconds"),
        ("microseconds", 1704067200, "seconds"),
        ("seconds", 1704067200000, "milliseconds"),
        ("seconds", 1704067200, None),
    ],
)
def test_numbers_that_are_no_times_in_their_unit_stay(db: Db, unit: str, value: int, fits: str | None) -> None:
    db.run("create table logs (id int primary key, at bigint, key (at))")
    db.many("insert into logs values (%s, %s)", [(n, value + n) for n in range(20)] + [(90, 0), (91, None)])
    runs = retention(DELETE.replace("by: at", f"by: at, unit: {unit}"))
    with help_.session(db) as session:
        planned, outcomes = runs.run(session, AT)
    refused = [f for f in planned.findings if f.check == "unit"]
    if fits is None:
        assert refused == []
        assert [(o.status, o.rows) for o in outcomes] == [("done", 21)]
        return
    assert f"the values fit {fits}" in refused[0].summary
    assert outcomes == []
    assert db.value("select count(*) from logs") == 22
