"""What goes is what a backup's restore held: also while others write, in pieces, to an archive, beside references."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from local.servers import TidbServer
from tests.harness import tidb as help_
from tests.harness.jobs import Run, Runs, on
from tests.harness.tidb import Db
from upkeep.jobs.backup.copier import Bench
from upkeep.jobs.backup.manifest import Contents, Manifest
from upkeep.jobs.contract import go_on
from upkeep.jobs.data_retention import pace
from upkeep.model import Json
from upkeep.tidb.backup.marks import marks

pytestmark = pytest.mark.tidb
AT = on("2024-05-15 12:20")
RULE = "for: 30 days, requires: {backup: 26 hours}"
DELETE = f"retain: {{by: at, then: delete, precision: row, {RULE}}}"


@pytest.fixture(scope="module")
def db(tidb_server: TidbServer) -> Iterator[Db]:
    with help_.fresh(tidb_server) as made:
        yield made


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upkeep.tidb.data_retention.batches.SMALLEST", 0)
    monkeypatch.setattr(pace.Pace.__init__, "__defaults__", (4, pace.TARGET_SECONDS, pace.LARGEST, None))
    monkeypatch.setattr(pace.Pace, "learn", lambda *_: None)


class Backed:
    """Retention of one table, with the marks of what it held when this was made."""

    def __init__(self, db: Db, policy: str, table: str = "logs") -> None:
        self.db, self.table = db, f"{db.name}.{table}"
        self.runs = Runs("data_retention", help_.target({table: policy}, more="limits: {share: 100 %}"))
        with help_.session(db) as session:
            self.manifest = Manifest(
                id="b1",
                target="t",
                engine="tidb",
                identity=session.identity,
                database=db.name,
                server_version=session.version,
                tool="none",
                tool_version="1",
                snapshot_at=AT,
                objects=(Contents(name=self.table, rows=1),),
            )
        bench = Bench(go_on, go_on, None)
        self.marks = marks(help_.address(db), self.manifest, self.runs.what, bench)

    def run(self, trace: Any = None, **how: Any) -> Run:
        with help_.session(self.db) as session:
            session.trace = trace
            return self.runs.run(session, AT, backup=self.manifest, marks=self.marks, **how)

    def left(self, table: str = "logs") -> list[Any]:
        return [row[0] for row in self.db.run(f"select id from {table} order by id")]


class Once:
    """Runs a statement in another session, before the first of ours that is like a pattern."""

    def __init__(self, db: Db, pattern: str, statement: str) -> None:
        self.connection, self.pattern, self.statement, self.done = db.connect(), pattern, statement, False

    def __call__(self, text: str) -> None:
        if not self.done and re.search(self.pattern, text):
            self.done = True
            with self.connection.cursor() as cursor:
                cursor.execute(self.statement)


def fill(db: Db, extra: str = "") -> None:
    """Ten rows in each of two hours, two before and two after the cut-off in a third, and one that is young."""
    db.run("drop table if exists refers, logs, kept")
    db.run(f"create table logs (id bigint, at datetime(6), note varchar(20), key (at) {extra})")
    rows = [(n, f"2024-01-01 0{1 + n // 10}:{n:02}:00.5", "x") for n in range(20)]
    rows += [(20 + n, f"2024-04-15 12:{18 + n}:00", "x") for n in range(4)]
    db.many("insert into logs values (%s, %s, %s)", [*rows, (30, "2024-05-01", "x")])


def outcome(run: Run) -> Any:
    return run.outcomes[0]


def test_pieces_go_while_others_write(db: Db) -> None:
    fill(db, ", primary key (id)")
    backed = Backed(db, DELETE)
    # into a piece that was compared already: before it is locked
    found = backed.run(Once(db, "for update", "insert into logs values (-1, '2024-01-01 01:30:00', 'late')"))
    assert outcome(found).status.value == "done", outcome(found).message
    assert backed.left() == [-1, 0, 1, 2, 3, 22, 23, 30], outcome(found).message
    assert "5 rows that are due stay" in outcome(found).message
    assert "in the hours from 2024-01-01 01:00:00" in outcome(found).message
    assert outcome(found).evidence["rows_uncovered"] == 5
    # the same backup once more: what was left of that hour is not what it was
    again = backed.run()
    assert outcome(again).reason_code == "needs_backup", outcome(again).message
    assert len(backed.left()) == 8
    assert outcome(Backed(db, DELETE).run()).status.value == "done"
    assert backed.left() == [22, 23, 30]

    # between the locking and the deleting of the first piece
    fill(db, ", primary key (id)")
    backed = Backed(db, DELETE)
    late = Once(db, "^delete", "insert into logs values (-5, '2024-01-01 01:00:01', 'late')")
    found = backed.run(late)
    assert late.done
    assert backed.left() == [-5, 0, 1, 2, 3, 22, 23, 30], outcome(found).message
    # changed and moved there, or with a column that the backup has not: it stays
    fill(db)
    backed = Backed(db, DELETE)
    db.run("update logs set at = '2024-01-01 02:30:00' where id = 30")
    outcome(backed.run())
    assert backed.left() == [*range(10, 20), 22, 23, 30]
    fill(db)
    backed = Backed(db, DELETE)
    db.run("alter table logs add column more int")
    assert outcome(backed.run()).reason_code == "needs_backup"
    assert len(backed.left()) == 25


def test_what_others_refer_to_and_what_moves(db: Db) -> None:
    fill(db, ", primary key (id)")
    db.run("create table refers (id int primary key, log bigint, foreign key (log) references logs (id))")
    db.run("insert into refers values (1, 3)")
    backed = Backed(db, DELETE)
    found = backed.run()
    assert backed.left() == [3, 22, 23, 30], outcome(found).message

    fill(db, ", primary key (id)")
    db.run("create table kept like logs")
    backed = Backed(db, f"retain: {{by: at, then: archive, into: kept, precision: row, {RULE}}}")
    db.run("update logs set note = 'y' where id = 12")
    found = backed.run(gate=True)
    assert outcome(found).rows == 12, outcome(found).message
    assert outcome(found).evidence["rows_archived"] == 12
    assert backed.left("kept") == [*range(10), 20, 21]
    assert found.well


@pytest.mark.parametrize(
    ("type_", "unit", "due", "odd"),
    [
        ("date", "", "'2024-01-02'", "'2024-01-00'"),
        ("timestamp", "", "'2024-01-02 03:04:05'", "null"),
        ("bigint", ", unit: milliseconds", "1704164645000", "null"),
    ],
)
def test_columns_of_time(db: Db, type_: str, unit: str, due: str, odd: str) -> None:
    db.run("drop table if exists refers, logs, kept")
    db.run(f"create table logs (id bigint primary key, at {type_} null, key (at))")
    db.run("set sql_mode = '', time_zone = '+07:00'")
    young = "1715000000000" if unit else "'2024-05-06'"
    db.run(f"insert into logs values (1, {due}), (2, {due}), (3, {odd}), (4, {young})")
    backed = Backed(db, DELETE.replace("by: at", f"by: at{unit}"))
    assert len(backed.marks[backed.table]["ranges"]) == 1
    found = backed.run(gate=True)
    assert backed.left() == [3, 4], outcome(found).message
    assert found.well


def test_a_partition_that_moves_to_an_archive(db: Db) -> None:
    db.run("drop table if exists refers, logs, kept")
    db.run(
        "create table logs (id bigint, at datetime) partition by range columns (at) (partition p1 values less than "
        "('2024-02-01'), partition p2 values less than ('2024-03-01'), partition p3 values less than ('2025-01-01'))"
    )
    db.run("create table kept (id bigint, at datetime)")
    rows = [(n, f"2024-0{1 + n // 10}-03") for n in range(20)]
    db.many("insert into logs values (%s, %s)", [*rows, (99, None), (100, "2024-05-01")])
    backed = Backed(db, f"retain: {{by: at, then: archive, into: kept, {RULE}}}")
    db.run("insert into logs values (50, '2024-02-20')")
    found = backed.run(only=("archive_partition",))
    ends = [o.reason_code or o.status.value for o in found.outcomes]
    assert ends == ["done", "needs_backup"], [o.message for o in found.outcomes]
    assert backed.left("kept") == [*range(10)]
    assert backed.left() == [*range(10, 20), 50, 99, 100]


def test_a_partition_of_a_table_with_a_hostile_name(db: Db) -> None:
    db.run(
        "create table `od``d.ta*ble` (id bigint, at date) partition by range columns (at) (partition `p 1` values less "
        "than ('2024-02-01'), partition p2 values less than ('2025-01-01'))"
    )
    db.run("insert into `od``d.ta*ble` values (1, '2024-01-03'), (2, '2024-05-01')")
    policy, name = f"retain: {{by: at, then: delete, grace: 0 days, {RULE}}}", "`od``d.ta*ble`"
    backed = Backed(db, policy, name)
    db.run("insert into `od``d.ta*ble` values (3, '2024-01-03')")
    assert [o.reason_code for o in backed.run(only=("detach_partition",)).outcomes] == ["needs_backup"]
    backed = Backed(db, policy, name)
    done = backed.run(only=("detach_partition",))
    assert [o.status.value for o in done.outcomes] == ["done"], done.outcomes
    (table,) = [one for one in db.tables() if one.startswith("od`d.ta*ble__")]
    backed.marks = marks(help_.address(db), backed.manifest, backed.runs.what, Bench(go_on, go_on, None))
    db.run("insert into `" + table.replace("`", "``") + "` values (4, '2024-01-03')")
    db.run("delete from `" + table.replace("`", "``") + "` where id = 1")  # as many as before
    found = backed.run()
    assert [o.reason_code for o in found.outcomes] == ["needs_backup"], found.outcomes
    assert table in db.tables()


def test_nothing_is_marked_that_requires_no_backup(db: Db) -> None:
    fill(db)
    backed = Backed(db, DELETE.replace("{backup: 26 hours}", "approval"))
    nothing: Json = {}
    assert backed.marks == nothing
