"""Bounds of every type that a TiDB key can have, on a real TiDB: created, divided, exchanged, merged, put back.

TiDB shows the same bound in several ways ('2024-02-01', '2024-02-01 00:00:00.000'): they are compared as values.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from local.servers import TidbServer
from tests.harness import tidb as help_
from tests.harness.jobs import Runs, all_done, on, undo
from tests.harness.tidb import Db
from upkeep import gates
from upkeep.model import Severity

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
        assert all_done(creation.run(session, AT).outcomes)
        assert creation.plan(session, AT).actions == ()
        assert db.parts("t") == ["p1", "p2", "p3", "p4", "p5", "p_2024_06", "p_2024_07", "top"]
        assert db.value("select count(*) from t partition (p_2024_06)") == 1

        before = db.bounds("t")
        retention = runs("data_retention", DELETE)
        planned, outcomes = retention.run(session, AT)
        assert [a.kind for a in planned.actions] == ["detach_partition"] * 3
        assert all_done(outcomes), outcomes
        assert db.value("select count(*) from t") == 11 - 6
        for action, outcome in reversed(list(zip(planned.actions, outcomes, strict=True))):
            assert undo(retention.job, session, action, outcome).status == "done"
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
        assert all_done(outcomes), outcomes
    assert db.parts("t") == ["p3", "p4", "p5"]
    assert db.value("select count(*) from kept") == 6


def test_intervals_of_a_column_with_fractions(db: Db) -> None:
    db.run(
        "create table t (id bigint, at datetime(6)) partition by range columns (at) interval (1 month) "
        "first partition less than ('2024-02-01') last partition less than ('2024-05-01')"
    )
    with help_.session(db) as session:
        planned, outcomes = runs("partition_creation", CREATE).run(session, AT)
        assert all_done(outcomes), outcomes
        assert "last partition less than" in planned.actions[0].statements[0]
        assert runs("partition_creation", CREATE).plan(session, AT).actions == ()
    assert db.parts("t")[-3:] == ["P_LT_2024-06-01 00:00:00.000000", "P_LT_2024-07-01 00:00:00.000000",
                                  "P_LT_2024-08-01 00:00:00.000000"]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "first", "every", "made"),
    [
        (COLUMNS, "'0000-01-01'", "1 month", ["2024-05-01", "2024-06-01", "2024-07-01", "2024-08-01"]),
        ("range (year(at))", "0", "1 year", ["2024", "2025", "2026", "2027"]),
    ],
)
def test_a_partition_for_rows_without_a_time_is_no_beginning(
    db: Db, key: str, first: str, every: str, made: list[str]
) -> None:
    db.run(f"create table t (id int, at datetime) partition by {key} (partition none values less than ({first}))")
    creation = runs("partition_creation", f"partition: {{by: at, every: {every}, ahead: 2}}")
    with help_.session(db) as session:
        planned, outcomes = creation.run(session, AT)
        assert all_done(outcomes), outcomes
        assert creation.plan(session, AT).actions == ()
    assert "creation_cap" not in {f.check for f in planned.findings}
    assert db.bounds("t")[1:] == made


def test_another_last_bound_is_still_noticed(db: Db) -> None:
    table(db, "datetime(6)", COLUMNS, "'{}'")
    creation = runs("partition_creation", CREATE)
    with help_.session(db) as session:
        observation = creation.observe(session, AT)
        (action,) = creation.job.plan(observation, creation.what).actions
        db.run("alter table t add partition (partition mine values less than ('2024-06-01 00:00:00.000001'))")
        outcome = creation.apply(session, action, observation)
    assert (outcome.status, outcome.reason_code) == ("skipped", "state_changed")
    assert "2024-06-01 00:00:00.000001" in str(outcome.message)


@pytest.mark.parametrize(
    ("type_", "key", "bounds", "ends"),
    [
        ("bigint", "range (id)", ("-200", "-100"), ["0"]),
        ("bigint unsigned", "range columns (id)", ("9223372036854775800",), ["9223372036854775900"]),
    ],
)  # fmt: skip
def test_numbers_far_out(db: Db, type_: str, key: str, bounds: Any, ends: list[str]) -> None:
    parts = ", ".join(f"partition p{n} values less than ({bound})" for n, bound in enumerate(bounds))
    db.run(f"create table t (id {type_} not null primary key, msg text) partition by {key} ({parts})")
    db.run("insert into t values (%s, 'x')", (int(bounds[-1]) - 1,))
    creation = runs("partition_creation", "partition: {by: id, every: 100, ahead: 1}")
    with help_.session(db) as session:
        assert all_done(creation.run(session, AT).outcomes)
        assert creation.plan(session, AT).actions == ()
    assert db.bounds("t")[len(bounds) :] == ends


# -- where the type ends ----------------------------------------------------------------------------


def ids(db: Db, type_: str, key: str, first: int, highest: int, *, more: str = "") -> None:
    part = f"partition p0 values less than ({first})"
    db.run(f"create table t (id {type_} not null primary key, msg text) partition by {key} ({part}{more})")
    db.run("insert into t values (%s, 'x')", (highest,))


TOP = ", partition top values less than (maxvalue)"


@pytest.mark.parametrize(("key", "top"), [("range (id)", ""), ("range columns (id)", ""), ("range (id)", TOP)])
@pytest.mark.parametrize(
    ("type_", "first", "every", "ends"),
    [
        ("tinyint unsigned", 200, 20, ["220", "240", "MAXVALUE"]),
        ("smallint", 32_000, 500, ["32500", "MAXVALUE"]),
        ("mediumint unsigned", 16_777_000, 100, ["16777100", "MAXVALUE"]),
        ("int", 2_147_483_100, 300, ["2147483400", "MAXVALUE"]),
        ("int unsigned", 4_294_967_100, 100, ["4294967200", "MAXVALUE"]),
        ("bigint", 9_223_372_036_854_775_000, 500, ["9223372036854775500", "MAXVALUE"]),
        ("bigint unsigned", 9_223_372_036_854_775_000, 500,
         ["9223372036854775500", "9223372036854776000", "9223372036854776500"]),
        ("bigint unsigned", 9_223_372_036_854_776_000, 500,
         ["9223372036854776500", "9223372036854777000", "9223372036854777500"]),
        ("bigint unsigned", 18_446_744_073_709_551_000, 300, ["18446744073709551300", "MAXVALUE"]),
    ],
)  # fmt: skip
def test_partitions_end_where_the_type_does(  # noqa: PLR0917 - a row of the table above
    db: Db, type_: str, key: str, first: int, every: int, ends: list[str], top: str
) -> None:
    ids(db, type_, key, first, first - 1, more=top)
    creation = runs("partition_creation", f"partition: {{by: id, every: {every}, ahead: 3}}")
    with help_.session(db) as session:
        planned, outcomes = creation.run(session, AT)
        assert all_done(outcomes), outcomes
        assert creation.plan(session, AT).actions == ()
        frames = creation.after(session, planned, outcomes)
        assert gates.evaluate("partition_creation", "tidb", "after", frames).success
        reached = ends[-1] == "MAXVALUE"
        found = [f for f in creation.plan(session, AT).findings if f.check == "type_end"]
        assert [f.severity for f in found] == ([Severity.WARNING] if reached else []) or not reached
    assert db.bounds("t")[1:] == ends + (["MAXVALUE"] if top and not reached else [])
    if reached:
        end = {
            "tinyint unsigned": 2**8, "smallint": 2**15, "mediumint unsigned": 2**24, "int": 2**31,
            "int unsigned": 2**32, "bigint": 2**63, "bigint unsigned": 2**64}[type_] - 1  # fmt: skip
        db.run("insert into t values (%s, 'the last')", (end,))
        with help_.session(db) as session:
            last = creation.plan(session, AT)
        assert last.actions == ()
        assert [(f.check, f.severity) for f in last.findings if f.subject != "server"] == [("type_end", Severity.ERROR)]


@pytest.mark.parametrize(
    ("type_", "key"),
    [("int", "range (at)"), ("int", "range columns (at)"), ("timestamp", "range (unix_timestamp(at))")],
)
@pytest.mark.parametrize(("at", "severity", "days"), [("2024-05-15", "INFO", 4_997), ("2037-11-20", "WARNING", 60)])
def test_seconds_end_in_2038(db: Db, type_: str, key: str, at: str, severity: str, days: int) -> None:  # noqa: PLR0917
    first = int(on(f"{at[:7]}-01").timestamp())
    db.run(f"create table t (id int, at {type_}) partition by {key} (partition p values less than ({first}))")
    unit = "" if type_ == "timestamp" else ", unit: seconds"
    creation = runs("partition_creation", f"partition: {{by: at, every: 1 month, ahead: 3{unit}}}")
    with help_.session(db) as session:
        planned, outcomes = creation.run(session, on(at))
        assert all_done(outcomes), outcomes
        assert creation.plan(session, on(at)).actions == ()
        frames = creation.after(session, planned, outcomes)
        assert gates.evaluate("partition_creation", "tidb", "after", frames).success
    (found,) = [f for f in planned.findings if f.check == "type_end"]
    assert found.severity == severity
    assert found.evidence["days_left"] == days
    assert "it lasts until 2038-01-19" in found.summary
    if severity == "WARNING":
        assert db.bounds("t")[1:] == ["2143238400", "2145916800", "MAXVALUE"]
        db.run("set time_zone = '+00:00'")
        db.run("insert into t values (1, %s)", ("2038-01-19 03:14:07" if type_ == "timestamp" else 2**31 - 1,))


def test_more_rows_than_may_be_copied_are_not_divided_beyond_2_to_63(db: Db) -> None:
    ids(db, "bigint unsigned", "range (id)", 2**63, 2**63 - 1)
    db.run("insert into t values (1, 'x'), (2, 'x')")
    creation = runs("partition_creation", "partition: {by: id, every: 1000, ahead: 1, move_default_rows: 2}")
    with help_.session(db) as session:
        planned = creation.plan(session, AT)
    assert [a.blocked and a.blocked[0] for a in planned.actions] == ["over_limit"]
    (found,) = [f for f in planned.findings if f.severity is Severity.ERROR]
    assert "RANGE COLUMNS" in (found.remedy or "")


# -- units ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("declared", "fits"), [("milliseconds", "seconds"), ("microseconds", "seconds")])
@pytest.mark.parametrize("bounds", [("1704067200", "1706745600"), ("0", "maxvalue"), ("0",)])
def test_a_wrong_unit_is_refused_with_the_one_that_fits(
    db: Db, declared: str, fits: str, bounds: tuple[str, ...]
) -> None:
    parts = ", ".join(f"partition p{n} values less than ({bound})" for n, bound in enumerate(bounds))
    db.run(f"create table t (id int, at bigint) partition by range (at) ({parts})")
    if bounds[-1] != "0":
        db.run("insert into t values (1, 1704067100), (2, null)")
    creation = runs("partition_creation", f"partition: {{by: at, every: 1 month, ahead: 2, unit: {declared}}}")
    right = runs("partition_creation", "partition: {by: at, every: 1 month, ahead: 2, unit: seconds}")
    with help_.session(db) as session:
        planned = creation.plan(session, AT)
        errors = [f for f in planned.findings if f.severity is Severity.ERROR]
        if bounds == ("0",):  # nothing tells: no row, no bound
            assert not errors
            return
        assert planned.actions == ()
        assert [f.check for f in errors] == ["unit"]
        assert f"fit {fits}" in errors[0].summary
        assert all_done(right.run(session, AT).outcomes)
    assert db.bounds("t")[-1] in {str(int(on("2024-08-01").timestamp())), "MAXVALUE"}


# -- with retention ---------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["partition", "row"])
@pytest.mark.parametrize("by", ["at", "`at`"])
def test_nothing_is_made_that_retention_would_take_away_again(db: Db, precision: str, by: str) -> None:
    db.run("create table t (id int, at datetime(3), key (at)) partition by range columns (at) "
           "(partition p1 values less than ('2023-02-01'), partition p2 values less than ('2023-03-01'))")  # fmt: skip
    retain = f"retain: {{by: {by!r}, for: 30 days, then: delete, requires: nothing, precision: {precision}}}"
    policy = f"{CREATE}\n{retain}"
    with help_.session(db) as session:
        now = session.now()  # today's retention counts, whatever the run's own time is
        month = now.year * 12 + now.month - 1
        starts = [date(m // 12, m % 12 + 1, 1) for m in range(month - 2, month + 4)]
        made = [str(day) for day in starts if day > (now - timedelta(days=30)).date()]
        assert all_done(runs("partition_creation", policy).run(session, now).outcomes)
        assert [b.removesuffix(" 00:00:00.000") for b in db.bounds("t")[2:]] == made
        assert all_done(runs("data_retention", policy).run(session, now).outcomes)
        assert len(db.parts("t")) >= len(made)
        assert runs("partition_creation", policy).plan(session, now).actions == ()
        assert runs("partition_creation", policy).plan(session, AT).actions == ()  # a backfill makes nothing either
