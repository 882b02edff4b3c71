"""Partition creation on a real TiDB: what is made, and what is only said. Citations: anchors/mongo-tidb-redis.md."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.servers import TidbServer
from tests.harness import tidb as help_
from tests.harness.jobs import Runs, all_done, on, undo
from tests.harness.tidb import Db
from upkeep import gates
from upkeep.model import FindingStatus, Severity

pytestmark = pytest.mark.tidb
AT = on("2024-02-15 12:00")
MONTHLY = "partition: {by: at, every: 1 month, ahead: 2}"


@pytest.fixture
def db(tidb_server: TidbServer) -> Iterator[Db]:
    with help_.fresh(tidb_server) as made:
        yield made


def logs(db: Db, *uppers: str, type_: str = "datetime", key: str = "range columns (at)", name: str = "logs") -> None:
    parts = ", ".join(
        f"partition p{n} values less than ({u if u == 'maxvalue' or 'columns' not in key else repr(u)})"
        for n, u in enumerate(uppers)
    )
    db.run(f"create table `{name}` (id bigint not null, at {type_}, msg text) partition by {key} ({parts})")


def creation(policy: str = MONTHLY, table: str = "logs") -> Runs:
    return Runs("partition_creation", help_.target({table: policy}))


def test_desired_minus_existing_then_nothing(db: Db) -> None:
    logs(db, "2024-01-01", "2024-02-01")
    runs = creation()
    with help_.session(db) as session:
        planned, outcomes = runs.run(session, AT)
        assert all_done(outcomes)
        assert [a.kind for a in planned.actions] == ["create_partition"]
        assert runs.plan(session, AT).actions == ()
        frames = runs.after(session, planned, outcomes)
    assert db.bounds("logs") == ["2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01", "2024-05-01"]
    assert db.parts("logs") == ["p0", "p1", "p_2024_02", "p_2024_03", "p_2024_04"]
    assert gates.evaluate("partition_creation", "tidb", "after", frames).success


@pytest.mark.parametrize("precision", ["row", "partition"])
def test_nothing_is_made_that_todays_retention_would_empty(db: Db, precision: str) -> None:
    logs(db, "2020-01-01", "2020-02-01")
    retain = f"retain: {{for: 30 days, then: delete, precision: {precision}}}"
    with help_.session(db) as session:
        planned, outcomes = creation(f"{MONTHLY}\n{retain}").run(session)
    assert all_done(outcomes)
    assert planned.actions
    assert len(db.bounds("logs")) <= 2 + 5  # the month of the cut-off, the current one, two ahead; not six years


def test_gate_before_holds_on_a_single_node(db: Db) -> None:
    logs(db, "2024-01-01")
    runs = creation()
    with help_.session(db) as session:
        observation = runs.observe(session, AT)
        planned = runs.job.plan(observation, runs.what)
    frames = runs.job.frames(observation, runs.what, "before", None, [])
    assert gates.evaluate("partition_creation", "tidb", "before", frames).success
    unseen = {f.check for f in planned.findings if f.status is FindingStatus.NOT_AVAILABLE}
    assert unseen == {"disk_free", "placement_driver"}
    assert all(f.severity is Severity.INFO for f in planned.findings)


@pytest.mark.parametrize(
    ("type_", "key", "first", "policy", "at", "bound"),
    [
        ("date", "range columns (at)", "2024-03-25", "every: 1 week, ahead: 0", "2024-03-31 23:30", "2024-04-01"),
        ("datetime", "range columns (at)", "2024-04-01", "every: 1 day, ahead: 0, timezone: Europe/Berlin",
         "2024-03-31 23:30", "2024-04-02"),
        ("timestamp", "range (unix_timestamp(at))", "unix_timestamp('2024-02-01')", "every: 1 month, ahead: 0",
         "2024-02-15 00:00", "1709251200"),
        ("timestamp", "range (unix_timestamp(at))", "unix_timestamp('2024-01-31 23:00')",
         "every: 1 month, ahead: 0, timezone: Europe/Berlin", "2024-02-15 00:00", "1709247600"),
        ("date", "range (to_days(at))", "to_days('2024-02-01')", "every: 1 month, ahead: 0", "2024-02-15", "739311"),
        ("datetime", "range (to_seconds(at))", "to_seconds('2024-02-15')", "every: 1 day, ahead: 0", "2024-02-15 01:00",
         "63875260800"),
        ("date", "range (year(at))", "2024", "every: 1 year, ahead: 0", "2024-02-15", "2025"),
        ("bigint", "range (at)", "1707955200", "every: 1 day, ahead: 0, unit: seconds", "2024-02-15 10:00",
         "1708041600"),
        ("bigint", "range (at)", "1707955200000", "every: 1 day, ahead: 0, unit: milliseconds", "2024-02-15 10:00",
         "1708041600000"),
        ("int", "range (at)", "1000", "every: 1000, ahead: 1", "2024-01-01", "2000"),
    ],
)  # fmt: skip
def test_every_kind_of_key(  # noqa: PLR0917 - a row of the table above
    db: Db, type_: str, key: str, first: str, policy: str, at: str, bound: str
) -> None:
    db.run("set time_zone = '+00:00'")
    logs(db, first, type_=type_, key=key)
    runs = creation(f"partition: {{by: at, {policy}}}")
    db.run("set global time_zone = '-11:00'")  # sessions of other zones change nothing
    try:
        with help_.session(db) as session:
            _, outcomes = runs.run(session, on(at))
            assert all_done(outcomes), outcomes
            assert runs.plan(session, on(at)).actions == ()
    finally:
        db.run("set global time_zone = 'SYSTEM'")
    assert db.bounds("logs")[-1] == bound


def test_ids_follow_their_data(db: Db) -> None:
    logs(db, "100", "200", "300", type_="bigint", key="range (id)")
    db.run("insert into logs (id) values (7), (150)")
    runs = creation("partition: {by: id, every: 100, ahead: 2}")
    with help_.session(db) as session:
        assert all_done(runs.run(session, AT).outcomes)
    assert db.bounds("logs") == ["100", "200", "300", "400"]


def test_an_action_is_the_same_one_however_many_rows_it_copies(db: Db) -> None:
    logs(db, "2024-02-01", "maxvalue")
    with help_.session(db) as session:
        (before,) = creation().plan(session, AT).actions
        db.run("insert into logs values (1, '2024-02-03', 'x')")
        (after,) = creation().plan(session, AT).actions
        (daily,) = creation("partition: {by: at, every: 1 day, ahead: 2}").plan(session, AT).actions
    assert before.id != after.id
    assert before.intent == after.intent != daily.intent


@pytest.mark.parametrize("rows", [0, 30])
def test_a_maxvalue_partition_is_divided_when_it_holds_few_rows(db: Db, rows: int) -> None:
    logs(db, "2024-02-01", "maxvalue")
    for number in range(rows):
        db.run(
            "insert into logs values (%s, %s, 'x')", (number, ("2024-02-03", "2024-03-03", "2031-01-01")[number % 3])
        )
    runs = creation()
    with help_.session(db) as session:
        planned, outcomes = runs.run(session, AT)
        assert all_done(outcomes), outcomes
        assert planned.actions[0].rows == rows
        frames = runs.after(session, planned, outcomes)
        assert runs.plan(session, AT).actions == ()
    assert db.bounds("logs") == ["2024-02-01", "2024-03-01", "2024-04-01", "2024-05-01", "MAXVALUE"]
    assert db.value("select count(*) from logs") == rows
    assert db.value("select count(*) from logs partition (p_2024_02)") == rows / 3
    assert frames["tables"][0]["default_rows"] == rows / 3


def test_a_full_maxvalue_partition_is_only_reported(db: Db) -> None:
    logs(db, "2024-02-01", "maxvalue")
    db.many("insert into logs values (%s, '2024-02-03', 'x')", [(n,) for n in range(20)])
    runs = creation("partition: {by: at, every: 1 month, ahead: 2, move_default_rows: 10}")
    with help_.session(db) as session:
        planned = runs.plan(session, AT)
    assert planned.actions[0].blocked is not None
    (found,) = [f for f in planned.findings if f.check == "default_rows"]
    assert found.severity is Severity.ERROR


@pytest.mark.parametrize(
    ("null", "method", "name"), [("", "last", "P_LT_2024-05-01"), ("null partition", "add", "P_LT_2024-05-01")]
)
def test_interval_partitioning_is_continued(db: Db, null: str, method: str, name: str) -> None:
    # A2, tidb#35683: LAST PARTITION refuses where a NULL partition is: then they are added under the same names
    db.run(
        "create table logs (id bigint, at date) partition by range columns (at) interval (1 month) "
        f"first partition less than ('2024-01-01') last partition less than ('2024-03-01') {null}"
    )
    runs = creation()
    with help_.session(db) as session:
        planned, outcomes = runs.run(session, AT)
        assert all_done(outcomes), outcomes
        assert runs.plan(session, AT).actions == ()
    assert planned.actions[0].args["method"] == method
    assert db.parts("logs")[-1] == name


@pytest.mark.parametrize(
    ("definition", "check", "says"),
    [
        ("(id bigint, at datetime)", "partitioned", "plain table"),
        ("(id bigint, at datetime) partition by hash (id) partitions 4", "partition_strategy", "hash"),
        ("(id bigint, at datetime) partition by key (id) partitions 4", "partition_strategy", "key"),
        ("(id bigint, at int) partition by list (at) (partition a values in (1))", "partition_strategy", "list"),
        ("(id bigint, at int) partition by range (at div 7) (partition a values less than (1))",
         "partition_strategy", "expression"),
        ("(id bigint, at int) partition by range (id) (partition a values less than (1))", "partition_key", "by: at"),
        ("(id bigint, at datetime) partition by list columns (at) (partition a values in ('2024-01-01'))",
         "partition_strategy", "list columns"),
        ("(id int, at date, b int) partition by range columns (at, b) (partition a values less than ('2024-01-01', 5))",
         "partition_strategy", "several columns"),
        ("(id bigint, at datetime) partition by range (month(at)) (partition a values less than (5))",
         "partition_strategy", "expression"),
        ("(id bigint, at timestamp) partition by hash (id) partitions 2", "partition_strategy", "hash"),
        ("(id bigint, at varchar(20)) partition by range columns (at) (partition a values less than ('5'))",
         "policy", "varchar"),
        ("(id bigint, at datetime) ttl = at + interval 1 day", "partitioned", "plain table"),
    ],
)  # fmt: skip
def test_what_cannot_be_extended_is_recognised_and_said(db: Db, definition: str, check: str, says: str) -> None:
    db.run(f"create table logs {definition}")
    runs = creation()
    with help_.session(db) as session:
        planned = runs.plan(session, AT)
    assert planned.actions == ()
    (found,) = [f for f in planned.findings if f.subject != "server"]
    assert (found.check, found.severity) == (check, Severity.ERROR)  # what is declared is not provided
    assert says in found.summary
    assert found.remedy
    if "'…'" in found.remedy:  # the way out is one
        bound = "unix_timestamp('2024-02-01')" if "timestamp" in definition else "'2024-02-01'"
        statement = found.remedy.split(": ", 1)[1].split(", which")[0]
        db.run(statement.replace("unix_timestamp('…')", bound).replace("'…'", bound))
        with help_.session(db) as session:
            assert all_done(runs.run(session, AT).outcomes)
        assert db.bounds("logs")[-1] in {"2024-05-01", str(int(on("2024-05-01").timestamp()))}


@pytest.mark.parametrize(
    ("definition", "says"),
    [
        ("create view logs as select 1 as at", "is a view"),
        ("create sequence logs", "is a sequence"),
        ("create global temporary table logs (at datetime) on commit delete rows", "is a temporary table"),
    ],
)
def test_what_is_no_table_is_called_what_it_is(db: Db, definition: str, says: str) -> None:
    db.run(definition)
    logs(db, "2024-02-01", name="logs_2")
    runs = creation()
    with help_.session(db) as session:
        planned = runs.plan(session, AT)
        (found,) = [f for f in planned.findings if f.subject != "server"]
        assert found.severity is Severity.ERROR
        assert says in found.summary
        assert "name the table itself" in (found.remedy or "")
        frames = runs.job.frames(runs.observe(session, AT), runs.what, "before", None, [])
        result = gates.evaluate("partition_creation", "tidb", "before", frames)
        assert [f.expectation.split(":")[0] for f in result.failed] == ["tables.supported"]
        by_glob = creation(table="logs*").plan(session, AT)
        assert {a.subject for a in by_glob.actions} == {f"{db.name}.logs_2"}
        assert not [f for f in by_glob.findings if says in f.summary and "temporary" not in says]


def test_hostile_names_and_a_cap(db: Db) -> None:
    name = "lo`gs; drop table x\"'"
    quoted = "`" + name.replace("`", "``") + "`"
    db.run(
        f"create table {quoted} (`a``t;` datetime) partition by range columns (`a``t;`) "
        "(partition `p;'x` values less than ('2020-01-01'))"
    )
    what = help_.target({quoted: "partition: {by: '`a``t;`', every: 1 day, ahead: 3, max_creations: 5}"})
    runs = Runs("partition_creation", what)
    with help_.session(db) as session:
        planned, outcomes = runs.run(session, AT)
        assert all_done(outcomes), outcomes
        assert runs.plan(session, AT).actions == ()
    assert "creation_cap" in {f.check for f in planned.findings}
    assert db.bounds(name)[1:] == ["2024-02-15", "2024-02-16", "2024-02-17", "2024-02-18", "2024-02-19"]


def test_undo_drops_what_is_empty_only(db: Db) -> None:
    logs(db, "2024-02-01")
    runs = creation()
    with help_.session(db) as session:
        planned, (outcome,) = runs.run(session, AT)
        db.run("insert into logs values (1, '2024-02-03', 'x')")
        assert undo(runs.job, session, planned.actions[0], outcome).status == "skipped"
        db.run("delete from logs")
        assert undo(runs.job, session, planned.actions[0], outcome).status == "done"
    assert db.bounds("logs") == ["2024-02-01"]
