"""What is detached goes only by today's policy, and only where and as it was left (DESIGN 5.11).

Each "no" has its test here, and the unchanged table still goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.harness.jobs import Run, Runs, undo
from tests.harness.postgres import AT, count, exists, leave_pending, months, retention, session, target
from upkeep.errors import OverLimitError
from upkeep.model import OutcomeStatus, ReasonCode, Severity
from upkeep.postgres.data_retention import JOB

DELETE = "retain: {by: at, for: 2 months, then: delete, requires: nothing, grace: 1 day}"
LONGER = DELETE.replace("2 months", "5 years")
BOUNDS = "for values from ('2024-03-01+00') to ('2024-04-01+00')"


@pytest.fixture
def db(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def let_grace_end(db: psycopg.Connection[Any]) -> None:
    """Bring the date in every marker forward, as an owner might, or as time does."""
    earlier = """regexp_replace(description, '"drop_after": "[^"]*"', '"drop_after": "2024-01-01T00:00:00+00:00"')"""
    db.execute(f"update pg_description set description = {earlier} where description like 'upkeep:%'".encode())


def detached(db: psycopg.Connection[Any], database: str, policy: str = DELETE, *, rows: int = 10) -> Runs:
    """Detach logs_3 under a policy, and let its grace end."""
    months(db, 3, 6, rows=rows)
    book = retention(target({"public.logs": policy}))
    with session(database) as opened:
        run = book.run(opened, AT)
        assert run.kinds == ["detach_partition"], run.plan.findings
        assert run.statuses == ["done"], run.outcomes
    let_grace_end(db)
    return book


def night(database: str, book: Runs, policy: str = DELETE, name: str = "public.logs") -> Run:
    with session(database) as opened:
        return book.today(target({name: policy})).run(opened, AT)


def said(run: Run) -> str:
    return "\n".join(f"{f.check} {f.severity}: {f.summary} → {f.remedy}" for f in run.plan.findings)


def test_unchanged_it_goes(db: psycopg.Connection[Any], database: str) -> None:
    run = night(database, detached(db, database))
    assert (run.kinds, run.statuses) == (["drop_partition"], ["done"]), said(run)
    assert not exists(db, "logs_3")
    assert run.plan.actions[0].rows == 10


def test_a_marker_of_an_older_version_goes_too(db: psycopg.Connection[Any], database: str) -> None:
    book = detached(db, database)
    keys = "detached_from|parent_oid|bounds|at|drop_after|state"
    db.execute(
        "update pg_description set description = 'upkeep: ' || (select jsonb_object_agg(key, value)::text from "
        "jsonb_each(replace(description, 'upkeep: ', '')::jsonb) where key ~ %s) where description like 'upkeep: %%'",
        [f"^({keys})$"],
    )
    assert "kept until" in said(night(database, book))  # nothing says which grace there was: today's counts
    run = night(database, book, DELETE.replace("grace: 1 day", "grace: 0"))
    assert (run.kinds, run.statuses) == (["drop_partition"], ["done"]), said(run)


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        (LONGER, "no longer due under today's policy: for 60 months"),
        (DELETE.replace("1 day", "30 days"), "kept until"),
        (DELETE.replace("by: at", "by: made"), "retain.by changed since"),
        (DELETE.replace("grace", "timezone: Europe/Berlin, grace"), "retain.timezone changed since"),
        (
            DELETE.replace("delete", "archive").replace("grace", "into: public.nowhere, grace"),
            "have to move into public.nowhere first",
        ),
    ],
)
def test_todays_policy_keeps_it(db: psycopg.Connection[Any], database: str, policy: str, why: str) -> None:
    book = detached(db, database)
    db.execute("alter table logs add column made timestamptz")
    run = night(database, book, policy)
    assert "drop_partition" not in run.kinds
    assert why in said(run)
    assert exists(db, "logs_3")


def test_an_epoch_read_in_another_unit_keeps_it(db: psycopg.Connection[Any], database: str) -> None:
    policy = DELETE.replace("grace", "unit: seconds, grace")
    db.execute("create table e (at bigint not null) partition by range (at)")
    for month, start in enumerate((1709251200, 1711929600, 1714521600), start=3):
        db.execute(f"create table e_{month} partition of e for values from ({start}) to ({start + 2678400 - 86400})")
    book = retention(target({"public.e": policy}))
    assert night(database, book, policy, "public.e").statuses == ["done"]
    let_grace_end(db)
    run = night(database, book, policy.replace("seconds", "milliseconds"), "public.e")
    assert "drop_partition" not in run.kinds
    assert exists(db, "e_3")
    assert night(database, book, policy, "public.e").statuses == ["done"]


def test_the_report_offers_to_attach_it_again(db: psycopg.Connection[Any], database: str) -> None:
    book = detached(db, database)
    oid = next(iter(book.detached))
    book.detached[oid] = {"run_id": "20260101-abc", "action_id": "0123456789abcdef", **book.detached[oid]}
    finding = night(database, book, LONGER).finding("detached_not_due")
    assert finding.severity is Severity.WARNING
    assert finding.summary.startswith("public.logs_3, detached 20")
    assert finding.remedy == "upkeep undo 0123456789abcdef attaches it again"


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [
        ("nothing", "approval", "approval"),
        ("approval", "nothing", "approval"),
        ("nothing", "{backup: 1 day}", "backup"),
        ("{backup: 1 day}", "nothing", "backup"),
    ],
)
def test_the_stricter_requirement_counts(
    db: psycopg.Connection[Any], database: str, then: str, now: str, expected: str
) -> None:
    book = detached(db, database, DELETE.replace("requires: nothing", f"requires: {then}"))
    with session(database) as opened:
        policy = DELETE.replace("requires: nothing", f"requires: {now}")
        (drop,) = book.today(target({"public.logs": policy})).plan(opened, AT).actions
    assert (drop.kind, drop.requires.kind) == ("drop_partition", expected)


def test_archived_by_now_its_rows_move_before_it_goes(db: psycopg.Connection[Any], database: str) -> None:
    book = detached(db, database)
    db.execute("create table old (like logs)")
    run = night(database, book, DELETE.replace("delete", "archive, into: public.old"))
    assert run.kinds == ["archive_partition", "drop_partition"]
    assert run.statuses == ["done", "done"], run.outcomes
    assert count(db, "old") == 10
    assert not exists(db, "logs_3")


def test_what_was_to_be_archived_does_not_go_with_rows(db: psycopg.Connection[Any], database: str) -> None:
    months(db, 3, 6)
    db.execute("create table old (like logs)")
    book = retention(target({"public.logs": DELETE}))
    assert night(database, book, DELETE.replace("delete", "archive, into: public.old")).statuses == ["done", "done"]
    let_grace_end(db)
    db.execute("insert into logs_3 (id, at) overriding system value values (99, '2024-03-09+00')")
    run = night(database, book, DELETE)
    assert run.kinds == []
    assert count(db, "logs_3") == 1
    db.execute("delete from logs_3")
    assert night(database, book, DELETE).statuses == ["done"]


CHANGES = {
    "renamed": ("alter table logs_3 rename to march", "it was called public.logs_3"),
    "moved": ("create schema attic; alter table logs_3 set schema attic", "it was called public.logs_3"),
    "written into": (
        "insert into logs_3 (id, at) overriding system value values (99, '2024-03-09+00')",
        "rows arrived in it",
    ),
    "made younger": (
        (
            "alter table logs_3 drop constraint logs_3_at_check; "
            "update logs_3 set at = now() where id = (select min(id) from logs_3)"
        ),
        "holds rows that are not due",
    ),
    "without its age": ("alter table logs_3 rename at to made", "no such column any more"),
    "grown": (
        (
            "delete from logs_3; insert into logs_3 (id, at, msg) overriding system value select n, '2024-03-05', "
            "(select string_agg(md5(m::text || n), '') from generate_series(1, 50) m) from generate_series(1, 9) n"
        ),
        "it grew",
    ),
    "seen": ("create view old as select id from logs_3", "view public.old depends on it"),
    "kept as a copy": ("create materialized view old as select id from logs_3", "public.old depends on it"),
    "referred to": (
        "create table c (id bigint, at timestamptz, foreign key (id, at) references logs_3 (id, at))",
        "on table public.c depends on it",
    ),
    "inherited from": ("create table c () inherits (logs_3)", "table public.c depends on it"),
    "watched": (
        (
            "create function f() returns trigger language plpgsql as 'begin return new; end'; "
            "create trigger watch after insert on logs_3 for each row execute function f()"
        ),
        "trigger watch on table public.logs_3 appeared",
    ),
    "replicated": ("create publication p for table logs_3", "in publication p appeared"),
    "with a rule": (
        "create rule r as on delete to logs_3 do instead nothing",
        "rule r on table public.logs_3 appeared",
    ),
    "with another's marker": (
        (
            "do $$ begin execute format('comment on table logs_3 is %L', replace(obj_description('logs_3'::regclass), "
            "'\"oid\": ', '\"oid\": 1')); end $$"
        ),
        "marker of another table",
    ),
    "without a marker": ("comment on table logs_3 is null", "no longer carries its marker"),
}


@pytest.mark.parametrize(("change", "why"), CHANGES.values(), ids=CHANGES)
def test_what_is_not_as_it_was_left_stays(db: psycopg.Connection[Any], database: str, change: str, why: str) -> None:
    book = detached(db, database)
    with session(database) as opened:
        observation = book.observe(opened, AT)
        (drop,) = JOB.plan(observation, book.what).actions  # planned before, and approved by somebody
        oid = drop.args["oid"]
        db.execute(change.encode())
        if "not due" not in why and "no such column" not in why:  # an approved plan is held against today's (`veto`)
            outcome = book.apply(opened, drop, observation)
            assert outcome.reason_code is ReasonCode.STATE_CHANGED, outcome
        run = book.run(opened, AT)
    assert run.kinds == []
    assert why in said(run)
    assert db.execute("select count(*) from pg_class where oid = %s", [oid]).fetchone() == (1,)


def test_what_was_there_before_does_not_keep_it(db: psycopg.Connection[Any], database: str) -> None:
    months(db, 3, 6)
    db.execute("create publication p for table logs_3")
    db.execute("create function f() returns trigger language plpgsql as 'begin return new; end'")
    db.execute("create trigger own after insert on logs_3 for each row execute function f()")
    db.execute("create trigger everywhere after insert on logs for each row execute function f()")
    book = retention(target({"public.logs": DELETE}))
    assert night(database, book).statuses == ["done"]
    let_grace_end(db)
    run = night(database, book)
    assert (run.kinds, run.statuses) == (["drop_partition"], ["done"]), said(run)


@pytest.mark.parametrize(
    "again",
    [
        f"alter table logs attach partition logs_3 {BOUNDS}",
        "alter table logs attach partition logs_3 for values from ('2024-02-01+00') to ('2024-04-01+00')",
        (
            f"create table elsewhere (like logs including identity) partition by range (at); "
            f"alter table elsewhere attach partition logs_3 {BOUNDS}"
        ),
    ],
    ids=["where it was", "with other bounds", "elsewhere"],
)
@pytest.mark.parametrize(
    "policy", [DELETE, DELETE.replace("grace", "precision: row, grace"), DELETE.replace("1 day", "0")]
)
def test_attached_again_it_is_left_alone(db: psycopg.Connection[Any], database: str, again: str, policy: str) -> None:
    book = detached(db, database)
    db.execute(again.encode())
    name = "elsewhere" if "elsewhere" in again else "logs"
    db.execute(f"create table {name}_new partition of {name} for values from ('2030-01-01+00') to (maxvalue)")
    db.execute("create index on logs (at)")
    with session(database) as opened:
        what = target(
            {"public.logs": policy, "public.elsewhere": policy} if name == "elsewhere" else {"public.logs": policy}
        )
        run = book.today(what).run(opened, AT)
        assert not [a for a in run.plan.actions if "logs_3" in a.detail + "".join(a.statements)], said(run)
        finding = run.finding("reattached")
        assert finding.severity is Severity.ERROR
        assert finding.remedy is not None
        assert count(db, "logs_3") == 10
        db.execute("comment on table logs_3 is null")
        run = book.run(opened, AT)
        assert run.kinds, said(run)
        assert set(run.statuses) == {"done"}, run.outcomes
        assert "reattached" not in run.checks


def test_a_part_attached_again_keeps_the_whole(db: psycopg.Connection[Any], database: str) -> None:
    months(db, 4, 6)
    db.execute(f"create table logs_3 partition of logs {BOUNDS} partition by range (at)")
    db.execute("create table logs_3a partition of logs_3 for values from ('2024-03-01+00') to ('2024-03-16+00')")
    db.execute("create table logs_3b partition of logs_3 for values from ('2024-03-16+00') to ('2024-04-01+00')")
    book = retention(target({"public.logs_3": DELETE}))
    with session(database) as opened:
        assert book.run(opened, AT).statuses == ["done"]  # logs_3a; logs_3b is the last one
        db.execute("alter table logs_3 attach partition logs_3a for values from ('2024-03-01+00') to ('2024-03-16+00')")
        run = book.today(target({"public.logs": DELETE})).run(opened, AT)
        assert run.kinds == []
        assert run.finding("reattached").severity is Severity.ERROR
        db.execute("comment on table logs_3a is null")
        assert book.run(opened, AT).statuses == ["done"]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ("select", "public.other"),  # the policy has left the fleet
        ("alter table logs rename to logbook", "public.logs"),
        (
            "alter table logs rename to logbook; create table logs (at timestamptz) partition by range (at)",
            "public.logs",
        ),
        ("drop table logs", "public.logs"),
    ],
    ids=["policy gone", "table renamed", "table made anew", "table dropped"],
)
def test_without_a_policy_of_today_it_is_reported(
    db: psycopg.Connection[Any], database: str, change: str, name: str
) -> None:
    book = detached(db, database)
    db.execute("create table other (at timestamptz) partition by range (at)")
    db.execute(change.encode())
    run = night(database, book, DELETE, name)
    assert run.kinds == []
    finding = run.finding("detached_orphan")
    assert (finding.subject, finding.severity) == ("public.logs", Severity.WARNING)
    assert "last seen 20" in finding.summary
    assert "public.logs_3, detached 20" in finding.summary
    assert count(db, "logs_3") == 10


def test_under_its_new_name_the_policy_goes_on(db: psycopg.Connection[Any], database: str) -> None:
    book = detached(db, database)
    db.execute("alter table logs rename to logbook")
    run = night(database, book, DELETE, "public.logbook")
    assert (run.kinds, run.statuses) == (["drop_partition"], ["done"]), said(run)


def test_an_interrupted_detaching_is_completed_but_not_dropped_when_it_is_not_due_any_more(
    db: psycopg.Connection[Any], database: str
) -> None:
    months(db, 2, 6)
    now = DELETE.replace("1 day", "0")
    book = retention(target({"public.logs": now}))
    with session(database) as opened:
        plan = book.plan(opened, AT)
        book.begun(next(a for a in plan.actions if a.kind == "detach_partition" and "logs_3" in a.detail))
    leave_pending(db, database)
    run = night(database, book, now.replace("2 months", "5 years"))
    assert (run.kinds, run.statuses) == (["detach_partition"], ["done"]), run.outcomes
    assert run.plan.actions[0].args["mode"] == "finalize"
    run = night(database, book, now.replace("2 months", "5 years"))
    assert run.kinds == []
    assert "no longer due" in said(run)
    assert count(db, "logs_3") == 10


def test_a_drop_in_the_same_run_looks_at_what_depends_on_it_too(db: psycopg.Connection[Any], database: str) -> None:
    months(db, 3, 6)
    what = target({"public.logs": DELETE.replace("1 day", "0")})
    book = retention(what)
    with session(database) as opened:
        observation = book.observe(opened, AT)
        detach, drop = JOB.plan(observation, what).actions
        assert book.apply(opened, detach, observation).status is OutcomeStatus.DONE
        db.execute("insert into logs_3 (id, at) overriding system value values (99, '2024-03-09+00')")
        outcome = book.apply(opened, drop, observation)
    assert outcome.reason_code is ReasonCode.STATE_CHANGED, outcome
    assert count(db, "logs_3") == 11


UNDO_CHANGES = {
    "its columns": ("alter table logs_3 drop column msg", "columns of public.logs_3 are not those of public.logs"),
    "the table's columns": ("alter table logs add column more int", "make them alike"),
    "gone": ("drop table logs_3", "public.logs_3 was dropped since"),
    "made anew": ("drop table logs_3; create table logs_3 (like logs)", "public.logs_3 was dropped since"),
    "its table gone": ("drop table logs", "the table that it was part of was dropped since"),
    "its place taken": (f"create table march partition of logs {BOUNDS}", "does not fit into public.logs any more"),
    "no marker": ("comment on table logs_3 is null", "does not carry Upkeep's marker any more"),
    "attached elsewhere": (
        (
            f"create table e (like logs including identity) partition by range (at); "
            f"alter table e attach partition logs_3 {BOUNDS}"
        ),
        "attached already, elsewhere",
    ),
    "another's bounds": (
        (
            "do $$ begin execute format('comment on table logs_3 is %L', replace(obj_description('logs_3'::regclass), "
            "'2024-03', '2023-03')); end $$"
        ),
        "marker of another detaching (bounds)",
    ),
}


@pytest.mark.parametrize(("change", "why"), UNDO_CHANGES.values(), ids=UNDO_CHANGES)
def test_what_forbids_to_attach_it_again(db: psycopg.Connection[Any], database: str, change: str, why: str) -> None:
    months(db, 3, 6)
    book = retention(target({"public.logs": DELETE}))
    with session(database) as opened:
        run = book.run(opened, AT)
        db.execute(change.encode())
        outcome = undo(JOB, opened, run.plan.actions[0], run.outcomes[0])
    assert outcome.status is OutcomeStatus.SKIPPED, outcome
    assert why in (outcome.message or "")
    assert db.execute("select count(*) from pg_constraint where conname like 'upkeep%'").fetchone() == (0,)


def test_larger_it_is_attached_again(db: psycopg.Connection[Any], database: str) -> None:
    months(db, 3, 6)
    book = retention(target({"public.logs": DELETE}))
    with session(database) as opened:
        run = book.run(opened, AT)
        db.execute("insert into logs_3 (id, at) overriding system value values (99, '2024-03-09+00')")
        assert undo(JOB, opened, run.plan.actions[0], run.outcomes[0]).status is OutcomeStatus.DONE
    assert count(db, "logs", "at < '2024-04-01+00'") == 11


@pytest.mark.parametrize(("more", "goes"), [(0, True), (1000, True), (3000, False)])
@pytest.mark.parametrize("kind", ["detach_partition", "drop_partition"])
def test_what_goes_whole_is_counted_again(
    db: psycopg.Connection[Any], database: str, kind: str, more: int, goes: bool
) -> None:
    months(db, 3, 6)
    what = target({"public.logs": DELETE})
    book = retention(what)
    with session(database) as opened:
        if kind == "drop_partition":
            book.run(opened, AT)
            let_grace_end(db)
            db.execute(  # as an older version left it: nothing says how much it held
                "update pg_description set description = regexp_replace(description, '\"(rows|bytes)\": [0-9]+', "
                "'\"was\": 1', 'g') where description like 'upkeep:%'"
            )
        observation = book.observe(opened, AT)
        (action,) = JOB.plan(observation, what).actions
        assert (action.kind, action.rows) == (kind, 10)
        db.execute(
            "insert into logs_3 (id, at, msg) overriding system value select 100 + n, '2024-03-09+00', 'later' "
            f"from generate_series(1, {more}) n".encode()
        )
        work = book.work(opened, action, observation, most=1010)
        if goes:
            assert JOB.apply(work).status is OutcomeStatus.DONE
        else:
            with pytest.raises(OverLimitError, match="plan again"):
                JOB.apply(work)
            assert count(db, "logs_3") == 10 + more


def test_an_estimate_that_was_wrong_does_not_stop_an_unchanged_table(
    db: psycopg.Connection[Any], database: str
) -> None:
    months(db, 3, 6)
    db.execute("insert into logs (at) select '2024-03-09+00' from generate_series(1, 5000)")
    db.execute("update pg_class set reltuples = 50, relpages = 100 where relname = 'logs_3'")
    what = target({"public.logs": DELETE})
    book = retention(what)
    with session(database) as opened:
        observation = book.observe(opened, AT)
        (detach,) = JOB.plan(observation, what).actions
        assert detach.rows is not None
        assert detach.rows < 100
        work = book.work(opened, detach, observation, most=1100)
        assert JOB.apply(work).status is OutcomeStatus.DONE


def test_intents_say_what_and_whereto_and_not_when(db: psycopg.Connection[Any], database: str) -> None:
    months(db, 3, 6)
    db.execute("create index on logs (at)")
    db.execute("create table old (like logs)")
    db.execute("create table older (like logs)")
    rows = "retain: {by: at, for: 2 months, then: archive, into: public.old, precision: row, requires: nothing}"
    with session(database) as opened:

        def intents(policy: str) -> dict[str, tuple[str, float | None]]:
            plan = retention(target({"public.logs": policy})).plan(opened, AT)
            assert len({a.intent for a in plan.actions}) == len(plan.actions)
            return {a.kind: (a.intent, a.reach) for a in plan.actions}

        first = intents(rows)["archive_rows"]
        later = intents(rows.replace("2 months", "70 days"))["archive_rows"]
        assert later[0] == first[0]
        assert (later[1] or 0) < (first[1] or 0)
        assert intents(rows.replace("nothing", "approval"))["archive_rows"] == first
        assert intents(rows.replace("public.old", "public.older"))["archive_rows"][0] != first[0]
        assert intents(rows.replace("precision", "timezone: Asia/Tokyo, precision"))["archive_rows"][0] != first[0]
        whole = intents(DELETE)["detach_partition"]
        assert intents(DELETE.replace("1 day", "2 days").replace("2 months", "70 days"))["detach_partition"] == whole
        assert intents(DELETE.replace("delete", "archive, into: public.old"))["detach_partition"] != whole
