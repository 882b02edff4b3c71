"""Retention where partitions are partitioned in turn: leaf ranges below lists and hashes, subtrees of ranges."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from tests.harness.jobs import undo
from tests.harness.postgres import AT, attached, count, exists, retention, session, target
from tests.harness.stepping import Stepping
from upkeep.model import OutcomeStatus, Severity
from upkeep.postgres.data_retention import JOB
from upkeep.postgres.session import PostgresSession

KEPT = "retain: {by: at, for: 1 month, then: delete, requires: nothing}"
NOW = "retain: {by: at, for: 1 month, then: delete, requires: nothing, grace: 0}"
ARCHIVED = "retain: {by: at, for: 1 month, then: archive, into: public.old, requires: nothing, grace: 0}"
ROWS = "retain: {by: at, for: 1 month, then: delete, precision: row, requires: nothing, grace: 0}"


@pytest.fixture
def db(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def regions(db: psycopg.Connection[Any], *, default: bool = False, kind: str = "list") -> None:
    """Make two parts with the months 3 to 6 (due on 15 June by a month: March and April), 10 rows in each."""
    db.execute("drop table if exists logs, old cascade")
    key = "region" if kind == "list" else "id"
    db.execute(
        "create table logs (id bigint not null, region text not null, at timestamptz not null, msg text, "
        f"primary key (id, region, at)) partition by {kind} ({key})"
    )
    db.execute("create index on logs (at)")
    for number, region in enumerate(("eu", "us")):
        takes = f"in ('{region}')" if kind == "list" else f"with (modulus 2, remainder {number})"
        db.execute(f"create table logs_{region} partition of logs for values {takes} partition by range (at)")
        for month in (3, 4, 5, 6):
            db.execute(
                f"create table logs_{region}_{month} partition of logs_{region} "
                f"for values from ('2024-0{month}-01+00') to ('2024-0{month + 1}-01+00')"
            )
        if default:
            db.execute(f"create table logs_{region}_rest partition of logs_{region} default")
    for month in (3, 4, 5, 6):
        db.execute(
            f"insert into logs select n * 10 + {month}, (array['eu', 'us'])[1 + n % 2], "
            f"timestamptz '2024-0{month}-10+00', 'x' from generate_series(1, 20) n"
        )
    db.execute("create table old (like logs)")
    db.execute("analyze logs")


def tables(db: psycopg.Connection[Any]) -> set[str]:
    rows = db.execute("select relname from pg_class where relname like 'logs\\_%' and relkind in ('r', 'p')").fetchall()
    return {row[0] for row in rows}


def past(db: psycopg.Connection[Any]) -> None:
    """Let every grace period be over."""
    drop_after = """regexp_replace(description, '"drop_after": "[^"]*"', '"drop_after": "2024-01-01T00:00:00+00:00"')"""
    db.execute(f"update pg_description set description = {drop_after} where description like 'upkeep:%'")


@pytest.mark.parametrize("default", [False, True])
@pytest.mark.parametrize("kind", ["list", "hash"])
def test_leaf_ranges_go_from_their_own_parent(
    db: psycopg.Connection[Any], database: str, kind: str, default: bool
) -> None:
    regions(db, kind=kind, default=default)
    book = retention(target({"public.logs": KEPT}))
    with session(database) as opened:
        run = book.run(opened, AT)
        assert run.statuses == ["done"] * 4, run.outcomes
        assert {a.subject for a in run.plan.actions} == {"public.logs"}
        assert ("concurrently" in run.plan.actions[0].statements[0]) is not default
        assert count(db, "logs") == 40
        months = [f"logs_{region}_{month}" for region in ("eu", "us") for month in (3, 4)]
        assert {m: exists(db, m) for m in months} == dict.fromkeys(months, True)  # grace: a week
        assert not set(months) & {*attached(db, "logs_eu"), *attached(db, "logs_us")}
        assert book.after(opened, *run)["tables"][0]["due_remaining"] == 0
        assert book.plan(opened, AT).actions == ()
        past(db)
        run = book.run(opened, AT)
        assert [a.kind for a in run.plan.actions] == ["drop_partition"] * 4
        assert run.statuses == ["done"] * 4, run.outcomes
    assert not set(months) & tables(db)


def test_undo_re_attaches_below_the_right_parent(db: psycopg.Connection[Any], database: str) -> None:
    regions(db)
    book = retention(target({"public.logs": KEPT}))
    with session(database) as opened:
        run = book.run(opened, AT)
        assert count(db, "logs") == 40
        for action, outcome in zip(run.plan.actions, run.outcomes, strict=True):
            undone = undo(JOB, opened, action, outcome)
            assert undone.status is OutcomeStatus.DONE, undone
    assert count(db, "logs") == 80
    assert attached(db, "logs_eu") == ["logs_eu_3", "logs_eu_4", "logs_eu_5", "logs_eu_6"]
    marks = "select count(*) from pg_description where description like 'upkeep%'"
    assert db.execute(marks).fetchone() == (0,)


def test_undo_re_attaches_below_a_default_without_siblings(db: psycopg.Connection[Any], database: str) -> None:
    db.execute("create table logs (id bigint, region text, at timestamptz) partition by list (region)")
    db.execute("create table logs_all partition of logs default partition by range (at)")
    for month in (3, 4, 5):
        bounds = f"from ('2024-0{month}-01+00') to ('2024-0{month + 1}-01+00')"
        db.execute(f"create table logs_all_{month} partition of logs_all for values {bounds}")
        db.execute(f"insert into logs values ({month}, 'x', '2024-0{month}-10+00')")
    db.execute("create index on logs (at)")
    db.execute("analyze logs")
    book = retention(target({"public.logs": KEPT}))
    with session(database) as opened:
        run = book.run(opened, AT)
        detached = [(a, o) for a, o in zip(run.plan.actions, run.outcomes, strict=True) if a.kind == "detach_partition"]
        assert detached
        assert count(db, "logs") < 3
        for action, outcome in detached:
            undone = undo(JOB, opened, action, outcome)
            assert undone.status is OutcomeStatus.DONE, undone
    assert count(db, "logs") == 3
    assert attached(db, "logs_all") == ["logs_all_3", "logs_all_4", "logs_all_5"]


def test_the_last_range_of_each_parent_stays(db: psycopg.Connection[Any], database: str) -> None:
    regions(db)
    db.execute("drop table logs_us_5, logs_us_6")
    with session(database) as opened:
        run = retention(target({"public.logs": NOW})).run(opened, AT)
    assert attached(db, "logs_us") == ["logs_us_4"]
    assert attached(db, "logs_eu") == ["logs_eu_5", "logs_eu_6"]
    (last,) = [f for f in run.plan.findings if f.check == "last_partition"]
    assert "public.logs_us_4" in last.summary
    assert "of public.logs_us" in last.summary


def test_archived_before_they_go(db: psycopg.Connection[Any], database: str) -> None:
    regions(db)
    with session(database) as opened:
        run = retention(target({"public.logs": ARCHIVED})).run(opened, AT)
    assert set(run.statuses) == {"done"}, run.outcomes
    assert (count(db, "old"), count(db, "logs")) == (40, 40)
    assert attached(db, "logs_eu") == ["logs_eu_5", "logs_eu_6"]


def test_rows_over_all_leaves(db: psycopg.Connection[Any], database: str) -> None:
    regions(db)
    db.execute("create table logs_xx partition of logs for values in ('xx')")
    db.execute("insert into logs select n, 'xx', '2024-01-01' from generate_series(1, 7) n")
    with session(database) as opened:
        book = retention(target({"public.logs": ROWS}))
        run = book.run(opened, AT)
        assert sum(o.rows or 0 for o in run.outcomes if o.evidence.get("batches")) == 67, run.outcomes
        run = book.run(opened, AT)  # what became empty goes
    assert count(db, "logs") == 20
    assert attached(db, "logs_us") == ["logs_us_5", "logs_us_6"]
    assert attached(db, "logs") == ["logs_eu", "logs_us", "logs_xx"]


def test_what_has_no_ranges_is_said(db: psycopg.Connection[Any], database: str) -> None:
    regions(db, default=True)
    db.execute("create table logs_xx partition of logs for values in ('xx')")
    db.execute("insert into logs values (1, 'eu', '2020-01-01', 'default')")
    db.execute("analyze")
    db.execute("create table hashed (id int, at timestamptz) partition by hash (id)")
    with session(database) as opened:
        plan = retention(target({"public.logs": KEPT, "public.hashed": KEPT})).plan(opened, AT)
    assert len(plan.actions) == 4
    said = {f.check: f for f in plan.findings if f.subject == "public.logs" and f.severity is Severity.WARNING}
    assert "public.logs_xx" in said["ageless_partition"].summary
    assert "public.logs_eu_rest" in said["default_rows"].summary
    (refused,) = [f for f in plan.findings if f.subject == "public.hashed"]
    assert "partitioned by hash of (id)" in refused.summary
    assert "precision: row" in (refused.remedy or "")


def test_references_keep_a_leaf_range(db: psycopg.Connection[Any], database: str) -> None:
    regions(db)
    db.execute(
        "create table notes (id bigint, region text, at timestamptz, foreign key (id, region, at) references logs)"
    )
    db.execute("insert into notes select id, region, at from logs where at < '2024-04-01' and region = 'us' limit 1")
    with session(database) as opened:
        run = retention(target({"public.logs": NOW})).run(opened, AT)
    assert set(run.statuses) == {"done"}, run.outcomes
    assert attached(db, "logs_us") == ["logs_us_3", "logs_us_5", "logs_us_6"]
    assert attached(db, "logs_eu") == ["logs_eu_5", "logs_eu_6"]
    assert "referenced_partition" in {f.check for f in run.plan.findings}


def test_a_detaching_pending_below_is_completed(db: psycopg.Connection[Any], database: str) -> None:
    regions(db)
    with psycopg.connect(database) as reader:
        reader.execute("select count(*) from logs_eu")
        with psycopg.connect(database, autocommit=True) as other:
            other.execute("set statement_timeout = 500")
            with pytest.raises(psycopg.errors.QueryCanceled):
                other.execute("alter table logs_eu detach partition logs_eu_3 concurrently")
    with session(database) as opened:
        book = retention(target({"public.logs": KEPT}))
        run = book.run(opened, AT)
        assert run.plan.actions[0].args["mode"] == "finalize"
        assert set(run.statuses) == {"done"}, run.outcomes
    assert attached(db, "logs_eu") == ["logs_eu_5", "logs_eu_6"]
    assert exists(db, "logs_eu_3")


# -- subtrees ----------------------------------------------------------------------------------------


def deep(db: psycopg.Connection[Any]) -> None:
    db.execute("create table kinds (kind int primary key)")
    db.execute("insert into kinds values (1)")
    db.execute(
        "create table logs (id bigint not null, at timestamptz not null, kind int references kinds, "
        "primary key (id, at)) partition by range (at)"
    )
    for month in (3, 4, 5, 6):
        db.execute(
            f"create table logs_{month} partition of logs for values from ('2024-0{month}-01+00') "
            f"to ('2024-0{month + 1}-01+00') partition by hash (id)"
        )
        for part in (0, 1):
            db.execute(
                f"create table logs_{month}_{part} partition of logs_{month} "
                f"for values with (modulus 2, remainder {part})"
            )
        db.execute(f"insert into logs select n, '2024-0{month}-05+00', 1 from generate_series(1, 50) n")
    db.execute("create table old (like logs)")
    db.execute("analyze")


@pytest.mark.parametrize("default", [False, True])
def test_a_subtree_is_detached_kept_and_dropped_whole(
    db: psycopg.Connection[Any], database: str, default: bool
) -> None:
    deep(db)
    if default:
        db.execute("create table logs_rest partition of logs default")
    book = retention(target({"public.logs": KEPT}))
    with session(database) as opened:
        run = book.run(opened, AT)
        assert run.statuses == ["done", "done"], run.outcomes
        assert [a.rows for a in run.plan.actions] == [50, 50]
        assert (count(db, "logs"), count(db, "logs_3")) == (100, 50)
        assert book.plan(opened, AT).actions == ()
        undone = undo(JOB, opened, run.plan.actions[1], run.outcomes[1])
        assert undone.status is OutcomeStatus.DONE, undone
        assert count(db, "logs") == 150
        left = "select count(*) from pg_constraint where conname like 'upkeep%'"
        assert db.execute(left).fetchone() == (0,)
        past(db)
        run = book.run(opened, AT)
    drops = [(a, o) for a, o in zip(run.plan.actions, run.outcomes, strict=True) if a.kind == "drop_partition"]
    assert [(a.rows, o.status) for a, o in drops] == [(50, "done")], run.outcomes
    assert not {"logs_3", "logs_3_0", "logs_3_1"} & tables(db)


def test_a_subtree_is_archived_also_after_its_detaching(db: psycopg.Connection[Any], database: str) -> None:
    deep(db)
    book = retention(target({"public.logs": KEPT.replace("1 month", "2 months")}))
    with session(database) as opened:
        book.run(opened, AT)  # March, with its rows
        assert count(db, "logs") == 150
        past(db)
        run = book.today(target({"public.logs": ARCHIVED})).run(opened, AT)
    assert set(run.statuses) == {"done"}, run.outcomes
    assert (count(db, "old"), count(db, "logs")) == (100, 100)
    assert not {"logs_3", "logs_4_1"} & tables(db)


def test_rows_written_into_a_leaf_of_a_detached_subtree_are_not_dropped(
    db: psycopg.Connection[Any], database: str
) -> None:
    deep(db)
    with session(database) as opened:
        what = target({"public.logs": ARCHIVED.replace("grace: 0", "grace: 1 day")})
        book = retention(what)
        book.run(opened, AT)
        assert (count(db, "old"), count(db, "logs")) == (100, 100)
        past(db)
        plan = book.plan(opened, AT)
        observation = book.observe(opened, AT)
        with psycopg.connect(database) as writer:
            writer.execute("insert into logs_3_0 select * from old where at < '2024-04-01' and id = 1")
            drop = next(a for a in plan.actions if "logs_3" in a.detail)
            outcome = book.apply(opened, drop, observation, sleep=lambda _: None)
            assert (outcome.status, outcome.reason_code) == ("skipped", "lock_not_obtained")
            writer.commit()
        outcome = book.apply(opened, drop, observation)
        assert (outcome.status, outcome.reason_code) == ("skipped", "state_changed")
    assert count(db, "logs_3") == 1


# -- killed ------------------------------------------------------------------------------------------


def until(opened: PostgresSession, number: int, kill: Callable[[], None]) -> list[str]:
    what = target({"public.logs": NOW})
    book = retention(what)
    observation = book.observe(opened, AT)
    sent: list[str] = []

    def trace(statement: str) -> None:
        sent.append(statement)
        if len(sent) == number:
            kill()

    opened.trace = trace
    for action in JOB.plan(observation, what).actions:
        outcome = book.apply(opened, action, observation)
        if outcome.reason_code == "connection_lost":
            break
        assert outcome.status == "done", outcome
    return sent


def killed_process(database: str, number: int) -> None:
    child = os.fork()
    if child == 0:
        try:
            with session(database) as opened:
                until(opened, number, lambda: os.kill(os.getpid(), signal.SIGKILL))
        finally:
            os._exit(3)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)


def killed_backend(database: str, number: int) -> None:
    def kill() -> None:
        with psycopg.connect(database, autocommit=True) as other:
            other.execute("select pg_terminate_backend(%s, 5000)", [opened.backend_pid])

    with session(database) as opened:
        until(opened, number, kill)


@pytest.mark.parametrize("kill", [killed_process, killed_backend])
@pytest.mark.parametrize("default", [False, True])
def test_killed_before_each_statement(
    db: psycopg.Connection[Any], database: str, kill: Callable[[str, int], None], default: bool, stepping: Stepping
) -> None:
    what = target({"public.logs": NOW})

    def prepare(*, default: bool = default) -> None:
        db.execute("drop table if exists logs, logs_eu_3, logs_eu_4, logs_us_3, logs_us_4")
        regions(db, default=default)
        db.execute("drop table logs_us")
        db.execute("alter table logs_eu detach partition logs_eu_4; drop table logs_eu_4")

    def undisturbed(kind: str) -> list[str]:
        prepare(default=kind == "default")
        with session(database) as opened:
            sent = until(opened, 0, lambda: None)
        assert len(sent) > 10
        return sent

    prepare()
    young = db.execute("select array_agg(id order by id) from logs where at > '2024-05-01'").fetchone()
    kind = "default" if default else "no default"
    for number in stepping.steps("retention of sub-partitions", ["no default", "default"], kind, undisturbed):
        prepare()
        with session(database) as opened:
            intents = list(retention(what).plan(opened, AT).actions)
        kill(database, number)
        assert db.execute("select array_agg(id order by id) from logs where at > '2024-05-01'").fetchone() == young
        with session(database) as opened:
            book = retention(what)
            book.begun(*intents)
            for _ in range(2):
                run = book.run(opened, AT)
                assert set(run.statuses) <= {"done"}, (number, run.outcomes)
            assert book.plan(opened, AT).actions == (), number
        assert not exists(db, "logs_eu_3"), number
        assert attached(db, "logs_eu") == ["logs_eu_5", "logs_eu_6", *(["logs_eu_rest"] if default else [])]
        marks = "select count(*) from pg_description where description like 'upkeep%'"
        assert db.execute(marks).fetchone() == (0,), number
