"""Today's policy and the object's present state can keep what was detached, never take more: DESIGN 5.11 (h).

Each "no" has its test, and an unchanged night still drops.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from local.servers import TidbServer
from tests.harness import tidb as help_
from tests.harness.command_line import Upkeep
from tests.harness.jobs import Run, Runs, all_done, on, undo
from tests.harness.tidb import Db
from upkeep.errors import OverLimitError
from upkeep.model import OutcomeStatus, ReasonCode, Severity
from upkeep.run import veto

pytestmark = pytest.mark.tidb
KEEP = "retain: {by: at, for: 30 days, then: delete, requires: nothing, grace: 1 second}"
AT = on("2024-05-15 12:00")


@pytest.fixture
def db(tidb_server: TidbServer) -> Iterator[Db]:
    with help_.fresh(tidb_server) as made:
        yield made


def target(policy: str = KEEP, table: str = "events") -> Any:
    return help_.target({table: policy}, more="limits: {share: 100 %}")


def detached(db: Db, policy: str = KEEP, columns: str = "id bigint not null, at datetime, key (at)") -> Runs:
    """Make a table of two months and more, have the first month detached, and let its second of grace go by."""
    db.run(
        f"create table events ({columns}) partition by range columns (at) (partition p1 values less than "
        "('2024-02-01'), partition p2 values less than ('2024-07-01'), partition p3 values less than ('2024-08-01'))"
    )
    days = [on("2024-01-01") + timedelta(days=n) for n in range(140)]
    db.many("insert into events (id, at) values (%s, %s)", [(n, d.replace(tzinfo=None)) for n, d in enumerate(days)])
    runs = Runs("data_retention", target(policy))
    with help_.session(db) as session:
        planned, outcomes = runs.run(session, AT)
    assert [a.kind for a in planned.actions] == ["detach_partition"]
    assert all_done(outcomes), outcomes
    over(db)
    return runs


def over(db: Db) -> None:
    """Let the second of grace go by: rewrite when it was detached, as the marker and the ledger would have it."""
    db.run("do sleep(1.1)")


def kept(db: Db) -> str:
    (found,) = [t for t in db.tables() if t.startswith("events__p1__")]
    return found


def night(db: Db, runs: Runs, at: Any = AT) -> Run:
    with help_.session(db) as session:
        return runs.run(session, at)


def said(planned: Any, *checks: str) -> Any:
    found = [f for f in planned.findings if f.check in checks]
    assert found, [f.check for f in planned.findings]
    return found[0]


def test_unchanged_it_goes(db: Db) -> None:
    runs = detached(db)
    planned, outcomes = night(db, runs)
    assert [a.kind for a in planned.actions] == ["drop_partition"]
    assert planned.actions[0].rows == 31
    assert all_done(outcomes), outcomes
    assert db.tables() == ["events"]


def test_a_table_too_large_to_be_counted_is_judged_by_what_was_planned(db: Db, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upkeep.tidb.server.count_whole", lambda *_: None)
    runs = detached(db)
    assert "rows" not in next(iter(runs.detached.values()))
    with help_.session(db) as session:
        (action,) = runs.plan(session, AT).actions
    assert action.rows == 31
    _, outcomes = night(db, runs)
    assert all_done(outcomes), outcomes
    assert db.tables() == ["events"]


@pytest.mark.parametrize("late", [False, True])
def test_a_table_that_could_not_be_counted_and_grew_is_kept(
    db: Db, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    monkeypatch.setattr("upkeep.tidb.server.count_whole", lambda *_: None)
    runs = detached(db)
    more = [(n, "2024-01-20") for n in range(1000, 3001)]
    with help_.session(db) as session:
        observed = runs.observe(session, AT)
        (action,) = runs.job.plan(observed, runs.what).actions
        db.many(f"insert into `{kept(db)}` (id, at) values (%s, %s)", more)
        if late:
            outcome = runs.apply(session, action, observed)
            assert (outcome.status, outcome.reason_code) == ("skipped", ReasonCode.STATE_CHANGED)
            assert "about 31 were planned" in (outcome.message or "")
        else:
            planned = runs.plan(session, AT)
            assert planned.actions == ()
            assert "about 31 were planned" in said(planned, "detached_changed").summary
    assert db.value(f"select count(*) from `{kept(db)}`") == 2032


def test_a_table_of_which_nobody_knows_how_many_rows_it_had_is_kept(db: Db, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upkeep.tidb.server.count_whole", lambda *_: None)
    runs = detached(db)
    next(iter(runs.detached.values()))["planned_rows"] = 0  # as when a killed run's detaching was completed
    planned, _ = night(db, runs)
    assert planned.actions == ()
    assert "could not be counted" in said(planned, "detached_changed").summary


def test_a_marker_of_an_earlier_release_goes_too(db: Db) -> None:
    runs = detached(db)
    marker = json.loads(
        db.run("select table_comment from information_schema.tables where table_name = %s", (kept(db),))[0][0][8:]
    )
    new = ("rows", "age", "unit", "timezone", "then", "grace", "requires")
    old = {key: value for key, value in marker.items() if key not in new}
    db.run(f"alter table `{kept(db)}` comment = %s", ("upkeep: " + json.dumps(old),))
    for evidence in runs.detached.values():
        for key in new:
            evidence.pop(key, None)
    _, outcomes = night(db, runs)
    assert [o.status for o in outcomes] == ["done"], outcomes
    assert db.tables() == ["events"]


@pytest.mark.parametrize(
    ("policy", "check", "word"),
    [
        (KEEP.replace("30 days", "5 years"), "detached_not_due", "no longer due under today's policy: for 60 months"),
        (KEEP.replace("1 second", "3 days"), "detached", "kept until"),
        (KEEP.replace("grace", "timezone: Asia/Tokyo, grace"), "detached_not_due", "retain.timezone"),
        (KEEP.replace("by: at", "by: other"), "detached_not_due", "retain.by"),
    ],
)
def test_a_changed_policy_keeps_it_and_says_why(db: Db, policy: str, check: str, word: str) -> None:
    runs = detached(db, columns="id bigint not null, at datetime, other datetime, key (at), key (other)")
    db.run("create table kept (id bigint not null, at datetime, other datetime)")
    runs.what = target(policy)
    planned, _ = night(db, runs)
    assert "drop_partition" not in {a.kind for a in planned.actions}
    found = said(planned, check)
    assert word in found.summary
    assert "detached 20" in found.summary
    assert "upkeep undo" in str(found.remedy)
    assert db.value(f"select count(*) from `{kept(db)}`") == 31


@pytest.mark.parametrize("change", ["", "drop table kept", "update `{}` set at = null where id = 3"])
def test_rows_move_before_it_goes_where_the_policy_archives_by_now(db: Db, change: str) -> None:
    runs = detached(db)
    db.run("create table kept (id bigint not null, at datetime)")
    if change:
        db.run(change.format(kept(db)))
    name = kept(db)
    runs.what = target(KEEP.replace("then: delete", "then: archive, into: kept"))
    planned, outcomes = night(db, runs)
    if change:
        assert not outcomes
        assert db.value(f"select count(*) from `{name}`") == 31
        return
    assert [a.kind for a in planned.actions] == ["archive_rows", "drop_partition"]
    assert all_done(outcomes), outcomes
    assert [o.rows for o in outcomes] == [31, 0]
    assert db.tables() == ["events", "kept"]
    assert db.value("select count(*) from kept where at < '2024-02-01'") == 31
    assert night(db, runs).plan.actions == ()


def test_the_stricter_requirement_of_then_and_now_counts(db: Db) -> None:
    runs = detached(db, KEEP.replace("nothing", "approval"))
    for now, wanted in (("nothing", "approval"), ("approval", "approval"), ("{backup: 1 day}", "backup")):
        runs.what = target(KEEP.replace("nothing", now))
        with help_.session(db) as session:
            (action,) = runs.plan(session, AT).actions
        assert (action.kind, action.requires.kind) == ("drop_partition", wanted)


def test_a_policy_that_is_gone_keeps_it(db: Db) -> None:
    runs = detached(db)
    db.run("create table others (id bigint primary key, at datetime, key (at))")
    runs.what = target(table="others")
    planned, _ = night(db, runs)
    assert planned.actions == ()
    found = said(planned, "detached_orphan")
    assert found.severity is Severity.WARNING
    assert "last seen 20" in found.summary
    assert kept(db)


def rename(db: Db) -> None:
    db.run(f"rename table `{kept(db)}` to january")


def move(db: Db) -> None:
    db.run(f"create database if not exists {db.name}_far")
    db.run(f"rename table `{kept(db)}` to {db.name}_far.`{kept(db)}`")


def mark(db: Db) -> None:
    db.run(f"alter table `{kept(db)}` comment = 'mine'")


def edit_marker(db: Db) -> None:
    comment = db.run("select table_comment from information_schema.tables where table_name = %s", (kept(db),))[0][0]
    marker = json.loads(comment[8:]) | {"bounds": [None, "2024-01-15 00:00:00"]}
    db.run(f"alter table `{kept(db)}` comment = %s", ("upkeep: " + json.dumps(marker),))


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (rename, "detached_changed"),
        (move, "detached_changed"),
        (edit_marker, "detached_changed"),
        (mark, "unmarked"),
        (lambda db: db.run(f"insert into `{kept(db)}` values (7777, '2024-01-05')"), "detached_changed"),
        (lambda db: db.run(f"update `{kept(db)}` set at = '2024-05-14' where id = 3"), "detached_changed"),
        (lambda db: db.run(f"update `{kept(db)}` set at = null where id = 3"), "detached_changed"),
        (lambda db: db.run(f"create view v as select id from `{kept(db)}`"), "dependants"),
        (lambda db: db.run("rename table events to events_2"), "detached_orphan"),
        (lambda db: db.run("truncate table events"), "orphan"),
        (lambda db: db.run("drop table events"), "orphan"),
    ],
    ids=[
        "renamed",
        "moved",
        "marker",
        "unmarked",
        "grown",
        "younger",
        "timeless",
        "view",
        "root",
        "truncated",
        "dropped",
    ],
)
def test_what_changed_since_keeps_it(db: Db, change: Callable[[Db], Any], check: str) -> None:
    runs = detached(db)
    change(db)
    try:
        planned, _ = night(db, runs)
        assert "drop_partition" not in {a.kind for a in planned.actions}
        found = said(planned, check)
        assert found.remedy
        ids = [r[0] for r in db.run("select tidb_table_id from information_schema.tables")]
        assert {int(oid) for oid in runs.detached} <= set(ids)
    finally:
        db.run(f"drop database if exists {db.name}_far")


def test_a_foreign_key_to_it_keeps_it(db: Db) -> None:
    runs = detached(db, columns="id bigint not null, at datetime not null, key (at), key (id)")
    db.run(f"create table notes (event bigint, foreign key (event) references `{kept(db)}` (id))")
    planned, _ = night(db, runs)
    assert planned.actions == ()
    assert "notes" in said(planned, "dependants").summary


@pytest.mark.parametrize(
    "change",
    [
        rename,
        lambda db: db.run(f"insert into `{kept(db)}` values (7777, '2024-01-05')"),
        lambda db: db.run(f"update `{kept(db)}` set at = '2024-05-14' where id = 3"),
        lambda db: db.run(f"create view v as select id from `{kept(db)}`"),
        mark,
    ],
    ids=["renamed", "grown", "younger", "view", "unmarked"],
)
def test_what_changes_after_the_plan_keeps_it_too(db: Db, change: Callable[[Db], Any]) -> None:
    runs = detached(db)
    with help_.session(db) as session:
        observed = runs.observe(session, AT)
        (action,) = runs.job.plan(observed, runs.what).actions
        change(db)
        outcome = runs.apply(session, action, observed)
    assert (outcome.status, outcome.reason_code) == (OutcomeStatus.SKIPPED, ReasonCode.STATE_CHANGED), outcome
    assert outcome.message
    assert len(db.tables()) >= 2


def test_what_somebody_put_back_is_neither_detached_nor_dropped(db: Db) -> None:
    runs = detached(db)
    db.run(f"alter table events exchange partition p1 with table `{kept(db)}`")
    planned, outcomes = night(db, runs)
    assert planned.actions == ()
    assert outcomes == []
    found = said(planned, "reattached")
    assert found.severity is Severity.ERROR
    assert f"drop table {db.name}." in str(found.remedy)
    assert db.value("select count(*) from events") == 140
    db.run(f"drop table `{kept(db)}`")  # as the remedy says: its policy applies again, and its grace begins anew
    runs.what = target(KEEP.replace("1 second", "3 days"))
    planned, outcomes = night(db, runs)
    assert [a.kind for a in planned.actions] == ["detach_partition"]
    assert all_done(outcomes), outcomes
    assert night(db, runs).plan.actions == ()


def test_copies_of_a_marker_are_not_touched(db: Db) -> None:
    runs = detached(db)
    db.run(f"create table copy like `{kept(db)}`")  # TiDB copies the comment
    db.run(f"insert into copy select * from `{kept(db)}`")
    db.run("create table empty like copy")
    planned, outcomes = night(db, runs)
    assert [a.kind for a in planned.actions] == ["drop_partition"]
    assert all_done(outcomes), outcomes
    assert "copy of Upkeep's marker" in said(planned, "unknown_marker").summary
    assert db.tables() == ["copy", "empty", "events"]
    assert db.value("select count(*) from copy") == 31
    assert night(db, runs).plan.actions == ()


def test_rows_in_what_a_killed_run_prepared_are_somebodys(db: Db) -> None:
    runs = detached(db)
    name = kept(db)
    db.run(f"truncate table `{name}`")  # its marker stays, its data has another id
    db.run(f"insert into `{name}` values (1, '2024-01-01')")
    planned, _ = night(db, runs)
    assert planned.actions == ()
    assert "holds rows" in said(planned, "unknown_marker").summary
    assert db.value(f"select count(*) from `{name}`") == 1
    assert db.value("select count(*) from events") == 140 - 31


def test_undo_says_that_it_is_taken_out_again_and_what_forbids_it(db: Db) -> None:
    runs = detached(db, KEEP.replace("1 second", "7 days"))
    with help_.session(db) as session:
        action = Runs("data_retention", runs.what).plan  # nothing is planned while it is kept
        assert action(session, AT).actions == ()
        runs.detached.clear()
    (evidence,) = [
        json.loads(r[0][8:])
        for r in db.run("select table_comment from information_schema.tables where table_name = %s", (kept(db),))
    ]
    what = planned_detach(db, evidence)
    db.run(f"create view v as select id from `{kept(db)}`")
    with help_.session(db) as session:
        refused = undo(runs.job, session, *what)
        assert (refused.status, refused.reason_code) == (OutcomeStatus.SKIPPED, ReasonCode.STATE_CHANGED)
        assert ".v" in str(refused.message)
        db.run("drop view v")
        undone = undo(runs.job, session, *what)
        assert undone.status == "done", undone
        assert "does so again" in str(undone.message)
        again = undo(runs.job, session, *what)
        assert "already" in str(again.message)
    assert db.tables() == ["events"]
    assert db.value("select count(*) from events") == 140


def planned_detach(db: Db, marker: Any) -> Any:
    """Return the action and the outcome of the detaching, as the ledger would give them to an undo."""
    from upkeep.model import Action, Outcome  # noqa: PLC0415

    table = {"id": marker["parent_oid"], "schema": db.name, "name": "events"}
    args = {key: marker[key] for key in ("oid", "parent_oid", "partition", "bounds", "lowest")} | {"table": table}
    about = {"statements": (), "reason": "", "destructive": True, "precondition": ""}
    action = Action.make(kind="detach_partition", subject="events", args=args, **about)
    return action, Outcome(action_id=action.id, status=OutcomeStatus.DONE, evidence={"oid": marker["oid"]})


@pytest.mark.parametrize(("most", "goes"), [(31, True), (20, False)])
def test_whole_objects_are_counted_again_before_they_go(db: Db, most: int, goes: bool) -> None:
    runs = detached(db)
    for kind in ("drop_partition", "detach_partition"):
        with help_.session(db) as session:
            observed = runs.observe(session, AT if kind == "drop_partition" else on("2024-09-15"))
            action = next(a for a in runs.job.plan(observed, runs.what).actions if a.kind == kind)
            limit = most if kind == "drop_partition" else most + 78
            work = runs.work(session, action, observed)
            work = type(work)(**{f: getattr(work, f) for f in work.__slots__} | {"most": limit})
            if goes:
                assert runs.job.apply(work).status == "done"
            else:
                with pytest.raises(OverLimitError, match="plan again"):
                    runs.job.apply(work)
    assert (len(db.tables()) == 2) == (not goes) or goes
    assert db.value("select count(*) from events") == (0 if goes else 109)


# -- what was planned under another policy (the veto itself is `upkeep.run.veto`) ------------------------------


ROWS = "retain: {by: at, for: 30 days, then: delete, precision: row, requires: approval}"
PARTITIONS = "retain: {by: at, for: 30 days, then: delete, requires: approval, grace: 7 days}"


def held_against(db: Db, runs: Runs, policy: str, change: str = "") -> tuple[Any, list[Any]]:
    """Plan, change the fleet file or the database, hold the plan against today's, and carry out what is left of it."""
    with help_.session(db) as session:
        observed = runs.observe(session, AT)
        planned = runs.job.plan(observed, runs.what)
        if change:
            db.run(change)
        runs.what = target(policy)
        held = veto.restrict(planned, runs.plan(session, AT), approved=True)
        free = [a for a in held.actions if a.blocked is None]
        return held, [runs.apply(session, a, observed) for a in free]


@pytest.mark.parametrize(
    ("policy", "change", "rows"),
    [
        (ROWS, "", 31),
        (ROWS.replace("30 days", "115 days"), "", 21),
        (ROWS.replace("30 days", "5 years"), "", None),
        (ROWS.replace("30 days", "1 day"), "", 31),
        (ROWS.replace("by: at", "by: other"), "", None),
        (ROWS.replace("then: delete", "then: archive, into: kept"), "", None),
        (ROWS.replace("by: at", "by: at, timezone: Asia/Tokyo"), "", None),
        (ROWS, "truncate table events", None),
        (ROWS, "alter table events rename column at to at2", None),
        (ROWS, "alter table events drop index at", 31),  # small enough to be read whole
        (PARTITIONS, "", 31),  # it has no partitions: the precision makes no difference
    ],
)
def test_rows_that_were_approved_go_as_far_as_today_allows(db: Db, policy: str, change: str, rows: int | None) -> None:
    months(db, ROWS)
    held, outcomes = held_against(db, Runs("data_retention", target(ROWS)), policy, change)
    assert [o.rows for o in outcomes] == ([] if rows is None else [rows])
    if rows is None:
        assert held.actions[0].blocked
        assert held.actions[0].blocked[0] == ReasonCode.STATE_CHANGED
    if not change:
        assert db.value("select count(*) from events") == 60 - (rows or 0)


def months(db: Db, policy: str) -> None:
    parts = "partition by range columns (at) (partition p1 values less than ('2024-02-01'), "
    parts += "partition p2 values less than ('2024-03-01'), partition p3 values less than ('2024-07-01'))"
    db.run(
        "create table events (id bigint not null, at datetime, other datetime, key (at), key (other)) "
        + ("" if policy == ROWS else parts)
    )
    db.run("create table kept (id bigint not null, at datetime, other datetime)")
    days = [on("2024-01-01") + timedelta(days=n) for n in (*range(31), *range(110, 139))]
    db.many("insert into events (id, at) values (%s, %s)", [(n, d.replace(tzinfo=None)) for n, d in enumerate(days)])


@pytest.mark.parametrize(
    ("policy", "change", "goes"),
    [
        (PARTITIONS, "", True),
        (PARTITIONS.replace("30 days", "90 days"), "", True),
        (PARTITIONS.replace("30 days", "5 years"), "", False),
        (PARTITIONS.replace("by: at", "by: other"), "", False),
        (PARTITIONS.replace("then: delete", "then: archive, into: kept"), "", False),
        (ROWS, "", False),
        (PARTITIONS, "alter table events truncate partition p1", False),
        (
            PARTITIONS,
            "alter table events reorganize partition p1 into (partition p0 values less than ('2024-02-01'))",
            0,
        ),
        (PARTITIONS, "insert into events (id) values (99)", False),
    ],
)
def test_a_partition_that_was_approved_goes_whole_or_stays(db: Db, policy: str, change: str, goes: bool) -> None:
    months(db, PARTITIONS)
    runs = Runs("data_retention", target(PARTITIONS))
    before = db.value("select count(*) from events")
    held, outcomes = held_against(db, runs, policy, change)
    assert [o.status for o in outcomes if o.rows] == (["done"] if goes else []), (held, outcomes)
    assert db.value("select count(*) from events") in ((before - 31,) if goes else (before, before + 1, before - 31))
    assert bool([t for t in db.tables() if t.startswith("events__p1")]) == goes


@pytest.mark.parametrize("blocked", [False, True])
def test_what_is_empty_is_not_merged_into_a_partition_that_waits(db: Db, blocked: bool) -> None:
    months(db, PARTITIONS)
    if blocked:
        db.run("insert into events (id) values (99)")
    runs = Runs("data_retention", target(PARTITIONS))
    with help_.session(db) as session:
        detach, merge = runs.plan(session, AT).actions
        assert (detach.kind, merge.kind) == ("detach_partition", "merge_partitions")
        assert merge.after == (() if blocked else (detach.id,))
        _, outcomes = runs.run(session, AT)
    assert [o.status for o in outcomes] == (["done"] if blocked else ["done", "done"])
    assert db.parts("events") == ["p2", "p3"]


# -- through the command line, with a real ledger -----------------------------------------------------


FLEET = """\
version: 1
targets:
  shop:
    engine: tidb
    connection: shop_db
    limits: {{share: 100 %}}
    mode: {mode}
    tables:
      events:
        retain: {policy}
      others:
        retain: {{by: at, for: 30 days, then: delete, requires: nothing}}
"""

Command: TypeAlias = Callable[..., Any]


@pytest.fixture
def upkeep(db: Db, control_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", db.uri)
    monkeypatch.setenv("AIRFLOW_CONN_UPKEEP_CONTROL", control_database)
    today = datetime.now(UTC)
    bounds = [today - timedelta(days=days) for days in (60, -30, -60)]
    parts = ", ".join(f"partition p{n} values less than ('{b:%Y-%m-%d}')" for n, b in enumerate(bounds, 1))
    columns = "(id bigint not null, at datetime, key (at))"
    db.run(f"create table events {columns} partition by range columns (at) ({parts})")
    db.run(f"create table others {columns}")
    days = [(n, (today - timedelta(days=n)).replace(tzinfo=None)) for n in range(100)]
    db.many("insert into events values (%s, %s)", days)
    command_line = Upkeep(tmp_path / "fleet.yaml", FLEET)

    def under(*arguments: str, policy: str = KEEP, mode: str = "enforce", name: str = "events:") -> Any:
        """Give a command under this fleet file, and return the target's part of the document."""
        text = FLEET.format(policy=policy.removeprefix("retain: "), mode=mode)
        command_line.text = text.replace("events:", name)
        return command_line.target(*arguments)

    return under


def what(target: Any, check: str) -> Any:
    return next(f for f in target["findings"] if f["check"] == check)


def test_a_longer_policy_keeps_what_was_detached_and_undo_puts_it_back(db: Db, upkeep: Command) -> None:
    assert upkeep("run", "data_retention")["status"] == "ok"
    over(db)
    target = upkeep("run", "data_retention", policy=KEEP.replace("30 days", "5 years"))
    assert target["actions"] == []
    assert kept(db)
    remedy = str(what(target, "detached_not_due")["remedy"])
    undo = remedy.split("upkeep ")[1].split(" puts", maxsplit=1)[0].split()
    target = upkeep(*undo, policy=KEEP.replace("30 days", "5 years"))
    assert target["actions"][0]["outcome"]["status"] == "done", target
    assert db.tables() == ["events", "others"]
    assert db.value("select count(*) from events") == 100


def test_without_its_policy_it_is_kept_and_with_it_goes(db: Db, upkeep: Command) -> None:
    upkeep("run", "data_retention")
    over(db)
    target = upkeep("run", "data_retention", name="elsewhere:")
    assert "last seen" in what(target, "detached_orphan")["summary"]
    assert kept(db)
    target = upkeep("run", "data_retention")
    assert [a["outcome"]["status"] for a in target["actions"]] == ["done"]
    assert db.tables() == ["events", "others"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, None),
        ({"mode": "observe"}, "observe_only"),
        ({"policy": PARTITIONS.replace("30 days", "5 years")}, "state_changed"),
        ({"policy": PARTITIONS.replace("approval", "{backup: 1 day}")}, "needs_backup"),
        ({"name": "elsewhere:"}, "state_changed"),
    ],
)
def test_a_partition_approved_under_another_fleet_file(
    db: Db, upkeep: Command, change: dict[str, str], code: str | None
) -> None:
    plan_id = upkeep("run", "data_retention", policy=PARTITIONS)["plan_id"]
    target = upkeep("run", "data_retention", "--approve", plan_id, **({"policy": PARTITIONS} | change))
    (action,) = target["actions"]
    assert action["outcome"].get("reason_code") == code
    assert db.value("select count(*) from events") == (61 if code is None else 100)
