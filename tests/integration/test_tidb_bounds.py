"""Bounds of every type that a TiDB key can have, on a real TiDB: created, divided, exchanged, merged, put back.

TiDB shows the same bound in several ways ('2024-02-01', '2024-02-01 00:00:00.000'): they are compared as values.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from local.servers import TidbServer
from tests.integration import tidb_help as help_
from tests.integration.tidb_help import Db, Runs, on

pytestmark = pytest.mark.tidb
AT = on("2024-05-15 12:00")
CREATE = "partition: {by: at, every: 1 month, ahead: 2}"
DELETE = "retain: {by: at, for: 30 days, then: delete, requires: nothing, grace: 7 days}"
ARCHIVE = "retain: {by: at, for: 30 days, then: archive, into: kept, requires: nothing}"
MONTHS = ("2024-02-01", "2024-03-01", "2024-04-01", "2024-05-01", "2024-06-01")
COLUMNS = "range columns (at)"
KEYS = [
    *((f"datetime({n})", COLUMNS, "'{}'") for n in range(1, 7)),
    ("datetime", COLUMNS, "'{} 00:00:00'"),
    ("datetime(6)", COLUMNS, "'{} 00:00:00.000'"),
    ("date", COLUMNS, "'{}'"),
    ("timestamp(3)", "range (floor(unix_timestamp(at)))", "unix_timestamp('{}')"),
    ("timestamp", "range (unix_timestamp(at))", "unix_timestamp('{}')"),
    ("datetime(6)", "range (to_days(at))", "to_days('{}')"),
    ("datetime(3)", "range (to_seconds(at))", "to_seconds('{}')"),
]


@pytest.fixture
def db(tidb_server: TidbServer) -> Iterator[Db]:
    with help_.fresh(tidb_server) as made:
        yield made


def runs(job: str, policy: str) -> Runs:
    return Runs(job, help_.target({"t": policy}, more="limits: {share: 100 %}"))


def table(db: Db, type_: str, key: str, bound: str, *, more: str = "") -> None:
    """Make a table with a row in the middle and one at the very end of each month, January to May."""
    db.run("set time_zone = '+00:00'")
    parts = [f"partition p{n} values less than ({bound.format(month)})" for n, month in enumerate(MONTHS, 1)]
    columns = f"id bigint not null, at {type_} not null, msg varchar(20), primary key (id, at)"
    db.run(f"create table t ({columns}) partition by {key} ({', '.join(parts)}{more})")
    last = "" if type_ == "date" else " 23:59:59"
    for month, day in enumerate((31, 29, 31, 30, 31), 1):
        db.run("insert into t values (%s, %s, 'x'), (%s, %s, 'x')",
               (month, f"2024-{month:02}-15", 10 + month, f"2024-{month:02}-{day}{last}"))  # fmt: skip


@pytest.mark.parametrize(("type_", "key", "bound"), KEYS)
def test_every_type_of_time(db: Db, type_: str, key: str, bound: str) -> None:
    table(db, type_, key, bound, more=", partition top values less than (maxvalue)")
    db.run("insert into t values (99, '2024-06-02', 'above')")
    with help_.session(db) as session:
        creation = runs("partition_creation", CREATE)
        assert help_.all_done(creation.run(session, AT)[1])
        assert creation.plan(session, AT).actions == ()
        assert db.parts("t") == ["p1", "p2", "p3", "p4", "p5", "p_2024_06", "p_2024_07", "top"]
        assert db.value("select count(*) from t partition (p_2024_06)") == 1

        before = db.bounds("t")
        retention = runs("data_retention", DELETE)
        planned, outcomes = retention.run(session, AT)
        assert [a.kind for a in planned.actions] == ["detach_partition"] * 3
        assert help_.all_done(outcomes), outcomes
        assert db.value("select count(*) from t") == 11 - 6
        for action, outcome in reversed(list(zip(planned.actions, outcomes, strict=True))):
            assert retention.job.undo(session, action, outcome).status == "done"
    assert db.value("select count(*) from t") == 11
    assert db.bounds("t") == before
    assert db.value("select count(*) from t partition (p2)") == 2
    assert db.tables() == ["t"]


@pytest.mark.parametrize(("type_", "key", "bound"), [KEYS[2], KEYS[5], KEYS[9]])
def test_archived_partitions_are_merged(db: Db, type_: str, key: str, bound: str) -> None:
    table(db, type_, key, bound)
    db.run("create table kept like t")
    db.run("alter table kept remove partitioning")
    with help_.session(db) as session:
        _, outcomes = runs("data_retention", ARCHIVE).run(session, AT)
        assert help_.all_done(outcomes), outcomes
    assert db.parts("t") == ["p3", "p4", "p5"]
    assert db.value("select count(*) from kept") == 6


def test_intervals_of_a_column_with_fractions(db: Db) -> None:
    db.run(
        "create table t (id bigint, at datetime(6)) partition by range columns (at) interval (1 month) "
        "first partition less than ('2024-02-01') last partition less than ('2024-05-01')"
    )
    with help_.session(db) as session:
        planned, outcomes = runs("partition_creation", CREATE).run(session, AT)
        assert help_.all_done(outcomes), outcomes
        assert "last partition less than" in planned.actions[0].statements[0]
        assert runs("partition_creation", CREATE).plan(session, AT).actions == ()
    assert db.parts("t")[-3:] == ["P_LT_2024-06-01 00:00:00.000000", "P_LT_2024-07-01 00:00:00.000000",
                                  "P_LT_2024-08-01 00:00:00.000000"]  # fmt: skip


def test_another_last_bound_is_still_noticed(db: Db) -> None:
    table(db, "datetime(6)", COLUMNS, "'{}'")
    creation = runs("partition_creation", CREATE)
    with help_.session(db) as session:
        observation = creation.observe(session, AT)
        (action,) = creation.job.plan(observation, creation.what).actions
        db.run("alter table t add partition (partition mine values less than ('2024-06-01 00:00:00.000001'))")
        outcome = creation.job.apply(creation.work(session, action, observation))
    assert (outcome.status, outcome.reason_code) == ("skipped", "state_changed")
    assert "2024-06-01 00:00:00.000001" in str(outcome.message)


@pytest.mark.parametrize(
    ("type_", "key", "bounds", "ends"),
    [
        ("bigint", "range (id)", ("-200", "-100"), ["0"]),
        ("bigint unsigned", "range columns (id)", ("9223372036854775800",),
         ["9223372036854775900", "9223372036854776000"]),
    ],
)  # fmt: skip
def test_numbers_far_out(db: Db, type_: str, key: str, bounds: Any, ends: list[str]) -> None:
    parts = ", ".join(f"partition p{n} values less than ({bound})" for n, bound in enumerate(bounds))
    db.run(f"create table t (id {type_} not null primary key, msg text) partition by {key} ({parts})")
    db.run("insert into t values (%s, 'x')", (int(bounds[-1]) - 1,))
    creation = runs("partition_creation", "partition: {by: id, every: 100, ahead: 1}")
    with help_.session(db) as session:
        assert help_.all_done(creation.run(session, AT)[1])
        assert creation.plan(session, AT).actions == ()
    assert db.bounds("t")[len(bounds) :] == ends
