"""Data retention on a real TiDB: whole partitions. Citations: anchors/mongo-tidb-redis.md, A2 and B."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from local.servers import TidbServer
from tests.harness import tidb as help_
from tests.harness.jobs import Runs, all_done, on, undo
from tests.harness.tidb import Db
from upkeep import gates
from upkeep.jobs.contract import go_on
from upkeep.jobs.errors import StateChangedError
from upkeep.model import ReasonCode, Severity
from upkeep.tidb.data_retention import drop
from upkeep.tidb.data_retention.args import Dropping
from upkeep.tidb.ddl import Tools
from upkeep.tidb.engine import ENGINE

pytestmark = pytest.mark.tidb
KEEP = "retain: {by: at, for: 30 days, then: delete, requires: nothing, grace: 7 days}"
NOW = KEEP.replace("7 days", "0 days")
AT = on("2024-05-15 12:00")


@pytest.fixture
def db(tidb_server: TidbServer) -> Iterator[Db]:
    with help_.fresh(tidb_server) as made:
        yield made


def events(db: Db, *, null: bool = True, name: str = "events") -> None:
    """Make a table of five months, a row for each day; the last partition is not due in May."""
    type_ = "datetime" if null else "datetime not null"
    db.run(
        f"create table `{name}` (id bigint not null, at {type_}, msg varchar(20), key (at)) "
        "partition by range columns (at) (partition p1 values less than ('2024-02-01'), "
        "partition p2 values less than ('2024-03-01'), partition p3 values less than ('2024-04-01'), "
        "partition p4 values less than ('2024-05-01'), partition p5 values less than ('2024-07-01'))"
    )
    days = [on("2024-01-01") + timedelta(days=n) for n in range(140)]
    db.many(f"insert into `{name}` values (%s, %s, %s)", [(n, d.replace(tzinfo=None), "x") for n, d in enumerate(days)])


def retention(policy: str = KEEP, table: str = "events") -> Runs:
    return Runs("data_retention", help_.target({table: policy}, more="limits: {share: 100 %}"))


def kinds(planned: Any) -> list[str]:
    return [a.kind for a in planned.actions]


def test_due_partitions_are_exchanged_kept_and_dropped_after_their_grace(db: Db) -> None:
    events(db)
    runs = retention()
    with help_.session(db) as session:
        planned, outcomes = runs.run(session, AT)
        assert kinds(planned) == ["detach_partition"] * 3
        assert all_done(outcomes), outcomes
        frames = runs.after(session, planned, outcomes)
        assert gates.evaluate("data_retention", "tidb", "after", frames).success
        again = runs.plan(session, AT)
        assert again.actions == ()
        assert [f.check for f in again.findings if f.subject != "server"] == ["detached"] * 3
    assert db.bounds("events") == ["2024-04-01", "2024-05-01", "2024-07-01"]
    assert db.value("select count(*) from events") == 140 - 91
    kept = [t for t in db.tables() if t != "events"]
    assert sum(db.value(f"select count(*) from `{t}`") for t in kept) == 91


def test_without_grace_all_is_gone_in_one_run(db: Db) -> None:
    events(db, null=False)
    runs = retention(NOW)
    with help_.session(db) as session:
        planned, outcomes = runs.run(session, AT)
        assert kinds(planned) == ["detach_partition", "drop_partition"] * 3
        assert all_done(outcomes), outcomes
        assert runs.plan(session, AT).actions == ()
    assert db.tables() == ["events"]
    assert db.value("select count(*) from events") == 140 - 91


def test_rows_without_a_time_protect_the_lowest_partition(db: Db) -> None:
    # B45, TiDB's partitioned-table.md: dropping the lowest partition drops rows whose key is NULL
    events(db)
    db.run("insert into events values (1000, null, 'n'), (1001, null, 'n')")
    runs = retention()
    with help_.session(db) as session:
        planned, outcomes = runs.run(session, AT)
    assert [a.blocked and a.blocked[0] for a in planned.actions] == [ReasonCode.NOT_SUPPORTED, None, None]
    assert all_done(outcomes), outcomes
    (found,) = [f for f in planned.findings if f.check == "null_rows"]
    assert found.evidence["rows"] == 2
    assert db.value("select count(*) from events where at is null") == 2
    assert db.value("select count(*) from events") == 142 - 60
    assert db.bounds("events") == ["2024-04-01", "2024-05-01", "2024-07-01"]


def test_undo_puts_a_partition_back_with_what_arrived_meanwhile(db: Db) -> None:
    events(db)
    runs = retention()
    with help_.session(db) as session:
        planned, outcomes = runs.run(session, AT)
        db.run("insert into events values (2000, '2024-02-10', 'late'), (2001, null, 'none')")
        for action, outcome in reversed(list(zip(planned.actions, outcomes, strict=True))):
            undone = undo(runs.job, session, action, outcome)
            assert undone.status == "done", undone
    assert db.tables() == ["events"]
    assert db.value("select count(*) from events") == 142
    assert db.bounds("events") == ["2024-02-01", "2024-03-01", "2024-04-01", "2024-05-01", "2024-07-01"]
    assert db.value("select count(*) from events partition (p2)") == 30


def test_archive_of_partitions_moves_rows_first_and_drops_nothing(db: Db) -> None:
    events(db)
    db.run("create table kept like events")
    db.run("alter table kept remove partitioning")
    runs = retention("retain: {by: at, for: 30 days, then: archive, into: kept, requires: nothing}")
    with help_.session(db) as session:
        planned, outcomes = runs.run(session, AT)
        assert all_done(outcomes), outcomes
        assert kinds(planned) == ["archive_partition", *(["archive_partition", "merge_partitions"] * 2)]
        frames = runs.after(session, planned, outcomes)
        assert gates.evaluate("data_retention", "tidb", "after", frames).success
        assert runs.plan(session, AT).actions == ()
    assert db.value("select count(*) from kept") == 91
    assert db.value("select count(*) from events") == 49
    assert db.bounds("events") == ["2024-04-01", "2024-05-01", "2024-07-01"]


def test_the_last_partition_stays(db: Db) -> None:
    events(db)
    runs = retention()
    with help_.session(db) as session:
        planned = runs.plan(session, on("2025-01-01"))
        assert len(planned.actions) == 4
        assert "last_partition" in {f.check for f in planned.findings}


def test_the_null_partition_of_interval_tables_is_never_taken(db: Db) -> None:
    db.run(
        "create table events (id bigint, at date) partition by range columns (at) interval (1 month) "
        "first partition less than ('2024-02-01') last partition less than ('2024-07-01') null partition"
    )
    db.run("insert into events values (1, null), (2, '2024-01-03'), (3, '2024-02-03'), (4, '2024-06-30')")
    runs = retention()
    with help_.session(db) as session:
        assert all_done(runs.run(session, AT).outcomes)
        assert runs.plan(session, AT).actions == ()
    assert db.parts("events")[0] == "P_NULL"
    assert db.run("select id from events order by id") == [(1,), (4,)]


def test_what_is_missed_is_not_taken_for_ours(db: Db) -> None:
    events(db)
    with help_.session(db) as session:
        first = retention()
        first.run(session, AT)
        forgetful = retention(KEEP.replace("7 days", "0 days"))
        planned = forgetful.plan(session, AT)
    assert planned.actions == ()
    assert [f.check for f in planned.findings if f.subject != "server"] == ["unknown_marker"] * 3


def test_a_changed_marker_or_a_young_one_keeps_the_table(db: Db) -> None:
    events(db)
    runs = retention()
    with help_.session(db) as session:
        _, outcomes = runs.run(session, AT)
        (oid, first), *_ = runs.detached.items()
        tools = Tools(session, go_on, lambda _: None)
        args = Dropping(oid=int(oid), parent_oid=first["parent_oid"], bounds=first["bounds"], name=first["partition"])
        with pytest.raises(StateChangedError, match="kept until"):
            drop.drop(tools, args)
        db.run(f"alter table {first['partition']} comment = 'mine'")
        with pytest.raises(StateChangedError, match="marker"):
            drop.drop(tools, args)
    assert len(db.tables()) == 1 + len(outcomes)


@pytest.mark.parametrize(
    ("options", "policy", "check", "actions"),
    [
        ("ttl = at + interval 30 day", KEEP, "ttl", 0),
        ("ttl = at + interval 30 day", KEEP.replace("nothing", "approval"), "ttl", 1),
        ("ttl = at + interval 90 day", KEEP.replace("then: delete", "then: archive, into: kept"), "ttl", 1),
        ("ttl = at + interval 30 day ttl_enable = 'OFF'", KEEP, "ttl", 1),
    ],
)
def test_time_to_live_does_no_double_work_and_never_goes_round_a_requirement(
    db: Db, options: str, policy: str, check: str, actions: int
) -> None:
    db.run(f"create table events (id bigint primary key, at datetime, key (at)) {options}")
    db.run("create table kept (id bigint primary key, at datetime)")
    db.run("insert into events values (1, '2024-01-01')")
    runs = retention(policy)
    with help_.session(db) as session:
        planned = runs.plan(session, AT)
    assert len(planned.actions) == actions
    assert check in {f.check for f in planned.findings}
    refused = "ttl_enable" not in options and actions
    assert all((a.blocked is not None) == bool(refused) for a in planned.actions)


def test_a_view_is_called_one_by_both_jobs_and_check(db: Db) -> None:
    events(db)
    db.run("create view aged as select * from events")
    archive = "retain: {by: at, for: 30 days, then: archive, into: aged, requires: nothing}"
    runs = Runs("data_retention", help_.target({"aged": KEEP, "events": archive, "ag*": KEEP}))
    with help_.session(db) as session:
        planned = runs.plan(session, AT)
        checked = {f.subject: f for f in ENGINE.check(session, runs.what)}
    said = {f.subject: f for f in planned.findings if f.severity is Severity.ERROR}
    assert "aged" in said
    assert "it is a view, not a table" in said["aged"].summary
    assert "aged is a view" in next(text for subject, f in said.items() if "events" in subject for text in [f.summary])
    assert all(a.blocked or a.after for a in planned.actions)
    assert "it is a view" in checked["aged"].summary
    assert "there is no such table" in checked["ag*"].summary


def test_a_date_with_zeros_keeps_its_partition(db: Db) -> None:
    events(db)
    db.run("set sql_mode = ''")
    db.run("insert into events values (1000, '2024-02-00', 'in p1'), (1001, '2024-03-00', 'in p2')")
    runs = retention()
    with help_.session(db) as session:
        planned, outcomes = runs.run(session, AT)
    assert [a.blocked and a.blocked[0] for a in planned.actions] == [ReasonCode.NOT_SUPPORTED] * 2 + [None]
    assert all_done(outcomes), outcomes
    assert [f.evidence["partition"] for f in planned.findings if f.check == "null_rows"] == ["p1", "p2"]
    assert db.value("select count(*) from events where id >= 1000") == 2
    assert db.value("select count(*) from events") == 142 - 31


def test_a_bound_with_zeros_is_no_time(db: Db) -> None:
    db.run("set sql_mode = ''")
    db.run(
        "create table events (id int, at datetime, key (at)) partition by range columns (at) (partition p1 values less "
        "than ('2024-01-00'), partition p2 values less than ('2024-03-01'), partition p3 values less than (maxvalue))"
    )
    db.run("insert into events values (1, '2024-02-01')")
    with help_.session(db) as session:
        planned, outcomes = retention().run(session, AT)
    assert outcomes == []
    (found,) = [f for f in planned.findings if f.check == "partition_key"]
    assert "2024-01-00" in found.summary


@pytest.mark.parametrize(
    ("parts", "which", "rows"),
    [
        ("partition p values less than (maxvalue)", ["p"], 106),
        ("partition p1 values less than ('2024-02-01'), partition p values less than (maxvalue)", ["p1", "p"], 31),
        ("partition p0 values less than ('2030-01-01')", ["p0"], 106),
        ("partition p0 values less than ('2030-01-01'), partition p values less than (maxvalue)", ["p0"], 106),
        ("partition p0 values less than ('2024-05-01'), partition p1 values less than ('2024-06-01')", ["p0"], 90),
        ("partition p0 values less than ('2024-05-01'), partition p1 values less than ('2024-12-01')", [], 0),
    ],
    ids=["only maxvalue", "last and maxvalue", "lowest", "lowest below maxvalue", "older than a month", "within"],
)
def test_due_rows_that_stay_are_counted_and_said(db: Db, parts: str, which: list[str], rows: int) -> None:
    db.run(f"create table events (id int, at datetime, key (at)) partition by range columns (at) ({parts})")
    days = [on("2024-01-01") + timedelta(days=n) for n in range(140)]
    db.many("insert into events values (%s, %s)", [(n, d.replace(tzinfo=None)) for n, d in enumerate(days)])
    with help_.session(db) as session:
        planned = retention().plan(session, AT)
    found = [f for f in planned.findings if f.check == "due_rows_stay"]
    assert [f.evidence["partition"] for f in sorted(found, key=lambda f: f.evidence["rows"])] == which
    assert not found or min(f.evidence["rows"] for f in found) == rows
    assert all("precision: row" in str(f.remedy) and f.severity == "WARNING" for f in found)


@pytest.mark.parametrize("policy", [KEEP, KEEP.replace("then: delete", "then: archive, into: kept")])
def test_bounds_that_are_no_times_in_their_unit_go_nowhere(db: Db, policy: str) -> None:
    bounds = [(f"p{year}", int(on(f"{year}-01-01").timestamp())) for year in (2023, 2024, 2025, 2026)]
    parts = ", ".join(f"partition {name} values less than ({bound})" for name, bound in bounds)
    db.run(f"create table events (id int, at bigint, key (at)) partition by range (at) ({parts})")
    db.run("create table kept (id int, at bigint)")
    db.many("insert into events values (%s, %s)", [(n, bound - 5) for n, (_, bound) in enumerate(bounds)])
    with help_.session(db) as session:
        wrong = retention(policy.replace("by: at", "by: at, unit: milliseconds"))
        planned, outcomes = wrong.run(session, AT)
        assert outcomes == []
        assert planned.actions
        (found,) = [f for f in planned.findings if f.check == "unit"]
        assert "the values fit seconds" in found.summary
        right = retention(policy.replace("by: at", "by: at, unit: seconds"))
        assert all_done(right.run(session, AT).outcomes)
    assert db.value("select count(*) from events") == 2
