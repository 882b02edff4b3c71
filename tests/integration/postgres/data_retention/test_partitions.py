"""Whole partitions: which go, how they go, when they are dropped, and what stops them."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.harness.jobs import undo
from tests.harness.postgres import AT, attached, count, exists, leave_pending, months, retention, session, target
from upkeep.model import FindingStatus, ReasonCode, Severity
from upkeep.postgres.data_retention import JOB

DELETE = "retain: {by: at, for: 2 months, then: delete, requires: nothing}"
NOW = "retain: {by: at, for: 2 months, then: delete, requires: nothing, grace: 0}"


@pytest.fixture
def db(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def rewind(db: psycopg.Connection[Any], table: str) -> None:
    """Let a detached table's grace period end."""
    row = db.execute("select obj_description(%s::regclass, 'pg_class')", [table]).fetchone()
    assert row is not None
    past = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    marker = json.loads(row[0].removeprefix("upkeep: "))
    marker["drop_after"] = past
    db.execute(
        sql.SQL("comment on table {} is {}").format(sql.Identifier(table), sql.Literal("upkeep: " + json.dumps(marker)))
    )


def test_a_partition_goes_only_when_its_upper_bound_is_reached(db: psycopg.Connection[Any], database: str) -> None:
    # psqlextra deletes from the partition that contains the cut-off on (anchors B10)
    months(db, 1, 6)
    with session(database) as opened:
        run = retention(target({"public.logs": DELETE})).run(opened, AT)  # cut-off: 15 April
    assert run.kinds == ["detach_partition"] * 3
    assert run.statuses == ["done"] * 3
    assert attached(db, "logs") == ["logs_4", "logs_5", "logs_6"]
    assert count(db, "logs_1") == 10


def test_a_gap_stops_nothing(db: psycopg.Connection[Any], database: str) -> None:
    # psqlextra stops at the first missing partition, so that older ones stay for ever (anchors B11)
    months(db, 1, 6)
    db.execute("drop table logs_2")
    with session(database) as opened:
        retention(target({"public.logs": DELETE})).run(opened, AT)
    assert attached(db, "logs") == ["logs_4", "logs_5", "logs_6"]


def test_the_last_partition_stays(db: psycopg.Connection[Any], database: str) -> None:
    months(db, 1, 2)
    with session(database) as opened:
        run = retention(target({"public.logs": DELETE})).run(opened, AT)
    assert attached(db, "logs") == ["logs_2"]
    assert "logs_2" in run.finding("last_partition").summary


def test_detached_now_dropped_after_the_grace_period(db: psycopg.Connection[Any], database: str) -> None:
    months(db, 3, 6)
    db.execute("comment on table logs_3 is 'the owner''s words'")
    with session(database) as opened:
        what = target({"public.logs": DELETE})
        book = retention(what)
        assert book.run(opened, AT).kinds == ["detach_partition"]
        waiting = book.run(opened, AT)
        assert waiting.kinds == []
        assert re.search(r"kept until [-\d]{10} [:\d]{8} UTC", waiting.finding("detached").summary)
        rewind(db, "logs_3")
        last = book.run(opened, AT)
        assert last.kinds == ["drop_partition"]
        assert last.statuses == ["done"], last.outcomes
        assert book.run(opened, AT).kinds == []
    assert not exists(db, "logs_3")


@pytest.mark.versions
def test_without_grace_both_happen_in_one_run(db: psycopg.Connection[Any], database: str) -> None:
    months(db, 3, 6)
    with session(database) as opened:
        run = retention(target({"public.logs": NOW})).run(opened, AT)
    assert run.kinds == ["detach_partition", "drop_partition"]
    assert run.statuses == ["done", "done"], run.outcomes
    assert not exists(db, "logs_3")


def test_under_a_backup_rule_nothing_is_dropped_in_the_run_that_detaches_it(
    db: psycopg.Connection[Any], database: str
) -> None:
    # DESIGN 4: a partition is dropped only when a verified snapshot postdates its detaching
    months(db, 3, 6)
    book = retention(target({"public.logs": NOW.replace("requires: nothing", "requires: {backup: 1 day}")}))
    with session(database) as opened:
        run = book.run(opened, AT)
        assert run.kinds == ["detach_partition"]
        (drop,) = book.plan(opened, AT).actions
    assert drop.kind == "drop_partition"
    assert drop.requires.kind == "backup"
    assert drop.args["snapshot_after"] == run.outcomes[0].evidence["detached_at"]


def test_an_approved_drop_looks_at_the_grace_period_again(db: psycopg.Connection[Any], database: str) -> None:
    months(db, 3, 6)
    with session(database) as opened:
        what = target({"public.logs": DELETE})
        book = retention(what)
        book.run(opened, AT)
        rewind(db, "logs_3")
        observation = book.observe(opened, AT)
        (drop,) = JOB.plan(observation, what).actions
        db.execute("comment on table logs_3 is null")
        outcome = book.apply(opened, drop, observation)
    assert outcome.reason_code is ReasonCode.STATE_CHANGED
    assert exists(db, "logs_3")


def test_a_marker_that_the_ledger_does_not_know_is_only_reported(db: psycopg.Connection[Any], database: str) -> None:
    months(db, 3, 6)
    with session(database) as opened:
        what = target({"public.logs": DELETE})
        retention(what).run(opened, AT)
        rewind(db, "logs_3")
        run = retention(what).run(opened, AT)
    assert run.kinds == []
    assert "the ledger knows nothing" in run.finding("unknown_marker").summary
    assert exists(db, "logs_3")


def test_a_table_attached_again_is_never_dropped(db: psycopg.Connection[Any], database: str) -> None:
    # GitLab's dropper un-marks and alarms (anchors A, two-step drop)
    months(db, 3, 6)
    with session(database) as opened:
        what = target({"public.logs": DELETE})
        book = retention(what)
        book.run(opened, AT)
        rewind(db, "logs_3")
        observation = book.observe(opened, AT)
        (drop,) = JOB.plan(observation, what).actions
        db.execute("alter table logs attach partition logs_3 for values from ('2024-03-01+00') to ('2024-04-01+00')")
        assert book.apply(opened, drop, observation).reason_code is ReasonCode.STATE_CHANGED
        plan = book.plan(opened, AT)
    assert [f.check for f in plan.findings if f.severity == "ERROR"] == ["reattached"]
    assert "drop_partition" not in [a.kind for a in plan.actions]
    assert count(db, "logs_3") == 10


def test_what_depends_on_a_detached_table_keeps_it(db: psycopg.Connection[Any], database: str) -> None:
    months(db, 3, 6)
    with session(database) as opened:
        what = target({"public.logs": DELETE})
        book = retention(what)
        book.run(opened, AT)
        rewind(db, "logs_3")
        observation = book.observe(opened, AT)
        (drop,) = JOB.plan(observation, what).actions
        db.execute("create view old as select * from logs_3")
        outcome = book.apply(opened, drop, observation)
        assert outcome.reason_code is ReasonCode.STATE_CHANGED
        assert "old" in (outcome.message or "")
        run = book.run(opened, AT)
    assert "old" in run.finding("dependants").summary
    assert exists(db, "logs_3")


@pytest.mark.versions
def test_undo_attaches_it_again(db: psycopg.Connection[Any], database: str) -> None:
    months(db, 3, 6)
    db.execute("comment on table logs_3 is 'the owner''s words'")
    with session(database) as opened:
        what = target({"public.logs": DELETE})
        book = retention(what)
        run = book.run(opened, AT)
        taken_back = undo(JOB, opened, run.plan.actions[0], run.outcomes[0])
        assert taken_back.status == "done", taken_back
        again = undo(JOB, opened, run.plan.actions[0], run.outcomes[0])
        assert (again.status, again.message) == (
            "done",
            "public.logs_3 is a partition of public.logs again already",
        )
    assert attached(db, "logs") == ["logs_3", "logs_4", "logs_5", "logs_6"]
    assert db.execute("select obj_description('logs_3'::regclass)").fetchone() == ("the owner's words",)
    assert db.execute("select count(*) from pg_constraint where conname like 'upkeep%'").fetchone() == (0,)


def test_with_a_default_partition_a_plain_detach(db: psycopg.Connection[Any], database: str) -> None:
    # DETACH … CONCURRENTLY is refused when there is a default partition (anchors, verified 3)
    months(db, 3, 6)
    db.execute("create table logs_rest partition of logs default")
    db.execute("insert into logs (at) values ('2020-01-01'), ('2030-01-01')")
    db.execute("analyze logs_rest")
    with session(database) as opened:
        run = retention(target({"public.logs": DELETE})).run(opened, AT)
    assert run.statuses == ["done"], run.outcomes
    assert "concurrently" not in run.plan.actions[0].statements[0]
    assert count(db, "logs_rest") == 2
    assert "logs_rest" in run.finding("default_rows").summary


@pytest.mark.parametrize(
    ("bounds", "severity", "said"),
    [
        ("default", Severity.WARNING, "default partition public.logs_rest"),
        ("for values from ('2024-07-01+00') to (maxvalue)", None, ""),
        (
            "for values from ('2024-01-01+00') to (maxvalue)",
            Severity.WARNING,
            "logs_rest (2024-01-01 to MAXVALUE)",
        ),
        ("for values from ('2024-01-01+00') to ('9999-12-31+00')", Severity.WARNING, "2024-01-01 to 9999-12-31"),
        ("for values from (minvalue) to (maxvalue)", Severity.WARNING, "MINVALUE to MAXVALUE"),
        ("for values from (minvalue) to ('2024-05-01+00')", Severity.INFO, "MINVALUE to 2024-05-01"),
        ("for values from ('2024-04-01+00') to ('2024-05-01+00')", None, ""),  # goes in two weeks
    ],
)
def test_due_rows_that_no_partition_takes_along_are_said(
    db: psycopg.Connection[Any], database: str, bounds: str, severity: Severity | None, said: str
) -> None:
    db.execute("create table logs (id int, at timestamptz) partition by range (at)")
    db.execute(f"create table logs_rest partition of logs {bounds}")
    what = target({"public.logs": DELETE})
    with session(database) as opened:
        assert "due_rows_stay" not in {f.check for f in retention(what).plan(opened, AT).findings}
        if severity is None:
            day = "2024-04-02" if "2024-05-01" in bounds else "2024-07-02"
            db.execute("insert into logs values (1, %s)", [day])
        else:
            db.execute("insert into logs select n, timestamptz '2024-04-02+00' from generate_series(1, 1234) n")
            if bounds == "default":
                db.execute("insert into logs values (1, null), (2, '2024-04-20+00')")
        found = [f for f in retention(what).plan(opened, AT).findings if f.check == "due_rows_stay"]
    assert [f.severity for f in found] == ([severity] if severity else [])
    if severity:
        assert "1,234 due rows" in found[0].summary
        assert said in found[0].summary
        assert "precision: row" in (found[0].remedy or "")


def test_due_rows_that_cannot_be_counted_are_not_taken_for_none(db: psycopg.Connection[Any], database: str) -> None:
    months(db, 5, 6)
    db.execute("create table logs_rest partition of logs default")
    with session(database) as opened, db.transaction():
        db.execute("lock table logs_rest in access exclusive mode")
        run = retention(target({"public.logs": DELETE})).plan(opened, AT)
    (found,) = [f for f in run.findings if f.check == "due_rows_stay"]
    assert (found.status, found.severity) == (FindingStatus.INSUFFICIENT_EVIDENCE, Severity.WARNING)


@pytest.mark.parametrize("bounds", ["default", "for values from ('2024-05-01+00') to (maxvalue)"])
def test_due_rows_beside_those_on_another_server_are_not_counted(
    db: psycopg.Connection[Any], database: str, bounds: str
) -> None:
    db.execute("create table logs (id bigint, at timestamptz) partition by range (at)")
    db.execute("create table logs_3 partition of logs for values from ('2024-03-01+00') to ('2024-04-01+00')")
    db.execute("create table logs_4 partition of logs for values from ('2024-04-01+00') to ('2024-05-01+00')")
    db.execute(f"create table logs_rest partition of logs {bounds} partition by hash (id)")
    beside_another_server(db, "logs_rest")
    with session(database) as opened:
        plan = retention(target({"public.logs": DELETE})).plan(opened, datetime(2024, 7, 15, tzinfo=UTC))
    (found,) = [f for f in plan.findings if f.check == "due_rows_stay"]
    assert (found.status, found.severity) == (FindingStatus.INSUFFICIENT_EVIDENCE, Severity.WARNING)
    assert "public.logs_rest_1 lies on another server" in found.summary
    assert "public.logs_3" in next(a.detail or "" for a in plan.actions if a.kind == "detach_partition")


def beside_another_server(db: psycopg.Connection[Any], table: str) -> None:
    """Give a table that is partitioned by hash one partition of its own, and one where nobody answers."""
    db.execute("create extension postgres_fdw")
    db.execute("create server away foreign data wrapper postgres_fdw options (host '127.0.0.1', port '1')")
    db.execute("create user mapping for public server away options (user 'nobody', password 'none')")
    db.execute(f"create table {table}_0 partition of {table} for values with (modulus 2, remainder 0)")
    db.execute(
        f"create foreign table {table}_1 partition of {table} for values with (modulus 2, remainder 1) server away"
    )


def test_numbers_beside_those_on_another_server_tell_the_unit(db: psycopg.Connection[Any], database: str) -> None:
    db.execute("create table logs (id bigint, at bigint) partition by hash (id)")
    beside_another_server(db, "logs")
    db.execute(
        "insert into logs_0 select n, n from generate_series(1, 1000) n "
        "where satisfies_hash_partition('logs'::regclass, 2, 0, n::bigint)"
    )
    policy = "retain: {by: at, unit: seconds, for: 30 days, requires: nothing, then: delete, precision: row}"
    with session(database) as opened:
        observation = retention(target({"public.logs": policy})).observe(opened, AT)
    (row,) = observation.frames["numbers"]
    assert len(row["numbers"]) == 101


def test_row_by_row_default_and_open_partitions_are_reached(db: psycopg.Connection[Any], database: str) -> None:
    db.execute("create table logs (id int, at timestamptz) partition by range (at)")
    db.execute("create table logs_min partition of logs for values from (minvalue) to ('2024-01-01+00')")
    db.execute("create table logs_max partition of logs for values from ('2024-02-01+00') to (maxvalue)")
    db.execute("create table logs_rest partition of logs default")
    days = "(values ('2020-05-05+00'), ('2023-12-31+00'), ('2024-01-05+00'), ('2024-03-01+00'), ('2024-06-01+00'))"
    db.execute(f"insert into logs select 1, v.day::timestamptz from {days} v (day), generate_series(1, 10)")
    db.execute("insert into logs values (1, null)")
    with session(database) as opened:
        run = retention(target({"public.logs": DELETE.replace("then", "precision: row, then")})).run(opened, AT)
    assert run.outcomes[0].rows == 40
    assert (count(db, "logs"), count(db, "logs_max"), count(db, "logs_rest")) == (11, 10, 1)


def test_rows_that_are_referred_to_keep_their_partition(db: psycopg.Connection[Any], database: str) -> None:
    # pg_partman#294, #767, #732 (anchors B7): the others go
    months(db, 1, 6)
    db.execute(
        "create table alarms (log_id bigint, log_at timestamptz, foreign key (log_id, log_at) references logs (id, at))"
    )
    db.execute("insert into alarms select id, at from logs_2 limit 1")
    with session(database) as opened:
        run = retention(target({"public.logs": DELETE})).run(opened, AT)
    assert run.statuses == ["done", "done"], run.outcomes
    assert attached(db, "logs") == ["logs_2", "logs_4", "logs_5", "logs_6"]
    finding = run.finding("referenced_partition")
    assert "public.alarms" in finding.summary
    assert finding.remedy


def test_a_reference_that_appears_after_the_plan_is_no_accident(db: psycopg.Connection[Any], database: str) -> None:
    months(db, 3, 6)
    db.execute(
        "create table alarms (log_id bigint, log_at timestamptz, foreign key (log_id, log_at) references logs (id, at))"
    )
    with session(database) as opened:
        what = target({"public.logs": DELETE})
        book = retention(what)
        observation = book.observe(opened, AT)
        (detach,) = JOB.plan(observation, what).actions
        db.execute("insert into alarms select id, at from logs_3 limit 1")
        outcome = book.apply(opened, detach, observation)
    assert outcome.status == "skipped", outcome
    assert outcome.reason_code is ReasonCode.STATE_CHANGED
    assert "logs_3" in attached(db, "logs")
    assert db.execute("select obj_description('logs_3'::regclass)").fetchone() == (None,)


@pytest.mark.versions
def test_a_reader_who_holds_the_table_is_not_fought(
    db: psycopg.Connection[Any], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # pg_partman#626, #834 (anchors B4): give up in time, leave no waiter, nothing pending, the others go on
    monkeypatch.setattr("upkeep.postgres.data_retention.detach.HOLDERS_TRIES", 3)
    months(db, 3, 6)
    months(db, 3, 6, name="other")
    with psycopg.connect(database) as reader, session(database) as opened:
        reader.execute("select count(*) from logs")
        started = time.monotonic()
        run = retention(target({"public.logs": DELETE, "public.other": DELETE})).run(opened, AT)
        assert time.monotonic() - started < 20
        assert [(o.status, o.reason_code) for o in run.outcomes] == [
            ("skipped", ReasonCode.LOCK_NOT_OBTAINED),
            ("done", None),
        ]
        assert count(db, "pg_locks", "not granted") == 0
        assert count(db, "pg_inherits", "inhdetachpending") == 0
        reader.rollback()
        assert retention(target({"public.logs": DELETE})).run(opened, AT).statuses == ["done"]


@pytest.mark.versions
def test_a_reader_of_a_table_with_a_default_is_not_fought_either(
    db: psycopg.Connection[Any], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    months(db, 3, 6)
    db.execute("create table logs_rest partition of logs default")
    with psycopg.connect(database) as reader, session(database) as opened:
        reader.execute("select count(*) from logs")
        run = retention(target({"public.logs": DELETE})).run(opened, AT, sleep=lambda _: None)
        assert run.outcomes[0].reason_code is ReasonCode.LOCK_NOT_OBTAINED
        assert count(db, "pg_locks", "not granted") == 0
        assert db.execute("select obj_description('logs_3'::regclass)").fetchone() == (None,)


def test_what_upkeep_left_pending_is_completed_first(db: psycopg.Connection[Any], database: str) -> None:
    # pg_partman#677, rkrage/pg_party#106 (anchors B6): siblings cannot go until FINALIZE
    months(db, 2, 6)
    what = target({"public.logs": DELETE})
    book = retention(what)
    with session(database) as opened:
        plan = book.plan(opened, AT)
        book.begun(next(a for a in plan.actions if "logs_3" in a.reason))  # a run that was killed
        leave_pending(db, database)
        run = book.run(opened, AT)
        assert run.kinds == ["detach_partition", "detach_partition"]
        assert [a.args["mode"] for a in run.plan.actions] == ["finalize", "concurrently"]
        assert run.plan.actions[0].requires.kind == "nothing"
        assert run.statuses == ["done", "done"], run.outcomes
        assert attached(db, "logs") == ["logs_4", "logs_5", "logs_6"]
        rewind(db, "logs_3")
        assert book.run(opened, AT).kinds == ["drop_partition"]


def test_what_somebody_else_left_pending_needs_a_person(db: psycopg.Connection[Any], database: str) -> None:
    months(db, 2, 6)
    with session(database) as opened:
        leave_pending(db, database)
        plan = retention(target({"public.logs": DELETE})).plan(opened, AT)
    assert plan.actions[0].args["mode"] == "finalize"
    assert plan.actions[0].requires.kind == "approval"
    assert "did not begin it" in plan.actions[0].reason


def test_what_is_pending_after_a_lost_lock_is_completed_in_the_same_run(
    db: psycopg.Connection[Any], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("upkeep.postgres.data_retention.detach.QUIET_SECONDS", 0.2)
    months(db, 3, 6)
    book = retention(target({"public.logs": DELETE}))
    with psycopg.connect(database) as reader, session(database) as opened:
        # the reader comes between the look for holders and the statement
        monkeypatch.setattr(
            "upkeep.postgres.data_retention.detach._wait_for_holders",
            lambda *_: reader.execute("select count(*) from logs"),
        )
        threading.Timer(1.5, reader.rollback).start()
        run = book.run(opened, AT)
    assert run.statuses == ["done"], run.outcomes
    assert attached(db, "logs") == ["logs_4", "logs_5", "logs_6"]


@pytest.mark.parametrize("policy", [DELETE, "retain: {by: at, for: 4 months, then: delete, requires: nothing}"])
def test_more_than_the_limit_waits_for_a_person(db: psycopg.Connection[Any], database: str, policy: str) -> None:
    months(db, 1, 6, rows=10)
    db.execute("insert into logs (at) select '2024-01-05+00' from generate_series(1, 300)")
    db.execute("insert into logs (at) select '2024-04-05+00' from generate_series(1, 20)")
    db.execute("analyze logs")
    what = target({"public.logs": policy})
    what = what.model_copy(update={"limits": what.limits.model_copy(update={"share": 0.8})})
    with session(database) as opened:
        plan = retention(what).plan(opened, AT)
    assert all((a.over_limit is not None) for a in plan.actions)
    assert plan.actions


def test_time_zones_and_months(db: psycopg.Connection[Any], database: str) -> None:
    """A wall-clock column in Berlin: March ends there an hour or two before it ends in UTC."""
    db.execute("create table w (at timestamp not null) partition by range (at)")
    for month in (2, 3, 4, 5):
        db.execute(
            f"create table w_{month} partition of w "
            f"for values from ('2024-{month:02}-01') to ('2024-{month + 1:02}-01')"
        )
    db.execute("alter database " + str(db.info.dbname) + " set timezone = 'America/Lima'")
    policy = "retain: {by: at, for: 1 month, then: delete, requires: nothing, timezone: Europe/Berlin}"
    with session(database) as opened:
        early = retention(target({"public.w": policy})).plan(opened, datetime(2024, 4, 30, 21, 59, tzinfo=UTC))
        late = retention(target({"public.w": policy})).plan(opened, datetime(2024, 4, 30, 22, 0, tzinfo=UTC))
    # the cut-off is clamped to 30 March 23:59, then to 1 April 00:00
    assert len(early.actions) == 1
    assert len(late.actions) == 2


def test_a_past_run_never_deletes_more_than_today(db: psycopg.Connection[Any], database: str) -> None:
    months(db, 1, 6)
    with session(database) as opened:
        plan = retention(target({"public.logs": DELETE})).plan(opened, datetime(2300, 1, 1, tzinfo=UTC))
        today = retention(target({"public.logs": DELETE})).plan(opened, opened.now())
    assert [a.args for a in plan.actions] == [a.args for a in today.actions]


def test_capitals_fold_as_in_sql(db: psycopg.Connection[Any], database: str) -> None:
    months(db, 3, 6)
    with session(database) as opened:
        run = retention(target({"PUBLIC.Logs": DELETE.replace("by: at", "by: At")})).run(opened, AT)
    assert run.statuses == ["done"], run.plan.findings


def test_policies_that_cannot_be_done_say_why(db: psycopg.Connection[Any], database: str) -> None:
    db.execute("create table by_region (region text, at timestamptz) partition by list (region)")
    db.execute("create table number (at bigint)")
    db.execute("create view seen as select now() as at")
    db.execute("create table words (at text)")
    tables = {f"public.{name}": DELETE for name in ("by_region", "number", "seen", "words", "gone")}
    tables["public.words2"] = DELETE
    db.execute("create table words2 (other timestamptz)")
    with session(database) as opened:
        plan = retention(target(tables)).plan(opened, AT)
    said = {f.subject: f.summary for f in plan.findings}
    assert not plan.actions
    assert "partitioned by list of (region)" in said["public.by_region"]
    assert "nothing says what it counts" in said["public.number"]
    assert "no table" in said["public.seen"]
    assert "is text, no time" in said["public.words"]
    assert "no column at" in said["public.words2"]
    assert "does not exist" in said["public.gone"]
    assert all(f.remedy for f in plan.findings)


def test_sub_partitions_go_with_their_partition(db: psycopg.Connection[Any], database: str) -> None:
    db.execute("create table deep (id int, at timestamptz not null) partition by range (at)")
    for month in (1, 5):
        db.execute(
            f"create table deep_{month} partition of deep for values from ('2024-{month:02}-01+00') "
            f"to ('2024-{month + 1:02}-01+00') partition by hash (id)"
        )
        for part in (0, 1):
            db.execute(
                f"create table deep_{month}_{part} partition of deep_{month} "
                f"for values with (modulus 2, remainder {part})"
            )
    db.execute("insert into deep select n, '2024-01-05+00' from generate_series(1, 50) n")
    db.execute("insert into deep select n, '2024-05-05+00' from generate_series(1, 50) n")
    db.execute("analyze")
    with session(database) as opened:
        run = retention(target({"public.deep": NOW})).run(opened, AT)
    assert run.plan.actions[0].rows == 50
    assert run.statuses == ["done", "done"], run.outcomes
    assert not exists(db, "deep_1_0")


def test_hostile_names(db: psycopg.Connection[Any], database: str) -> None:
    name = "We\"ird. %s {x} '; drop table logs; --"
    quoted = '"' + name.replace('"', '""') + '"'
    column = '"Zeit % {at}"'
    db.execute(f"create schema {quoted}".encode())
    db.execute(f"create table {quoted}.{quoted} ({column} timestamptz) partition by range ({column})".encode())
    for month in (3, 5):
        db.execute(
            f'create table {quoted}."p\'{month}%" partition of {quoted}.{quoted} '
            f"for values from ('2024-0{month}-01+00') to ('2024-0{month + 1}-01+00')".encode()
        )
    policy = "retain: {by: '" + column + "', for: 2 months, then: delete, requires: nothing, grace: 0}"
    with session(database) as opened:
        run = retention(target({f"{quoted}.{quoted}": policy})).run(opened, AT)
    assert run.statuses == ["done", "done"], (run.plan.findings, run.outcomes)
