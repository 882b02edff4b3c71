"""Killed at every statement, the job's process or the server's backend: nothing lost or doubled, the next run ends it.

Issue 3, "Robust"; DESIGN 5.6.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.harness import postgres as help_
from tests.harness.jobs import all_done, on
from tests.harness.postgres import creation
from tests.harness.stepping import Stepping
from upkeep.postgres.partition_creation import JOB, moves
from upkeep.postgres.session import PostgresSession

AT = on("2024-02-15 12:00")
POLICY = "partition: {by: at, every: 1 month, ahead: 1}"
ROWS = 300
KINDS = ["plain", "moved at once", "moved in steps", "large default"]
SUBS = ["plain", "moved at once", "moved in steps"]
LISTS = "partition: {by: region, list: {eu: [eu], us: [us, null]}, subpartition: {by: id, modulus: 2}}"


@pytest.fixture
def db(database: str) -> Any:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def prepare(db: psycopg.Connection[Any], kind: str) -> None:
    db.execute("drop table if exists public.logs, public.logs_2024_02, public.logs_2024_03")
    db.execute(
        "create table public.logs (id bigint generated always as identity, at timestamptz not null, "
        "primary key (id, at)) partition by range (at)"
    )
    db.execute("create table public.logs_0 partition of public.logs for values from ('2024-01-01') to ('2024-02-01')")
    if kind != "plain":
        db.execute("create table public.logs_default partition of public.logs default")
        day = "3000-01-01" if kind == "large default" else "2024-02-02"
        db.execute(f"insert into public.logs (at) select '{day}' from generate_series(1, {ROWS}) g")


def until(
    session: PostgresSession, number: int, kill: Callable[[], None], kind: str, policy: str = POLICY
) -> list[str]:
    """Run the job with ``kill`` called before statement ``number``; return what was sent."""
    what = help_.target({"public.logs": policy})
    observation = creation(what).observe(session, AT)
    if kind == "large default":
        observation.frames["defaults"][0]["bytes"] = 10**9
        observation.frames["server"][0]["now"] = on("2024-01-15").isoformat()
    sent: list[str] = []

    def trace(statement: str) -> None:
        sent.append(statement)
        if len(sent) == number:
            kill()

    session.trace = trace
    for action in JOB.plan(observation, what).actions:
        outcome = creation(what).apply(session, action, observation)
        if outcome.reason_code == "connection_lost":
            break
        assert outcome.status == "done", outcome
    return sent


def killed_process(database: str, number: int, kind: str, policy: str = POLICY) -> None:
    child = os.fork()
    if child == 0:
        try:
            with help_.session(database) as session:
                until(session, number, lambda: os.kill(os.getpid(), signal.SIGKILL), kind, policy)
        finally:
            os._exit(3)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)


def killed_backend(database: str, number: int, kind: str, policy: str = POLICY) -> None:
    def kill() -> None:
        with psycopg.connect(database, autocommit=True) as other:
            other.execute("select pg_terminate_backend(%s, 5000)", [session.backend_pid])

    with help_.session(database) as session:
        until(session, number, kill, kind, policy)


def tune(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(moves, "DIRECT_ROWS", 0 if kind == "moved in steps" else 10**6)


def check(db: psycopg.Connection[Any], kind: str) -> None:
    assert help_.bounds(db, "public.logs")[:3] == [
        "2024-01-01..2024-02-01",
        "2024-02-01..2024-03-01",
        "2024-03-01..2024-04-01",
    ]
    rows = 0 if kind == "plain" else ROWS
    assert db.execute("select count(*), count(distinct id) from public.logs").fetchone() == (rows, rows)
    left = db.execute(
        "select (select count(*) from pg_class where relname like 'upkeep%') "
        "+ (select count(*) from pg_proc where proname like 'upkeep%') "
        "+ (select count(*) from pg_trigger where tgname like '%upkeep%') "
        "+ (select count(*) from pg_constraint where conname like 'upkeep%') "
        "+ (select count(*) from pg_description where description like 'upkeep%') "
        "+ (select count(*) from pg_class where relname like 'logs_2024%' and relkind = 'r' and not relispartition)"
    ).fetchone()
    assert left == (0,)


@pytest.mark.parametrize("kill", [killed_process, killed_backend])
@pytest.mark.parametrize("kind", KINDS)
def test_killed_before_each_statement(
    database: str,
    db: psycopg.Connection[Any],
    kind: str,
    kill: Callable[[str, int, str], None],
    monkeypatch: pytest.MonkeyPatch,
    *,
    stepping: Stepping,
) -> None:
    what = help_.target({"public.logs": POLICY})

    def undisturbed(kind: str) -> list[str]:
        tune(monkeypatch, kind)
        prepare(db, kind)
        with help_.session(database) as session:
            sent = until(session, 0, lambda: None, kind)
        check(db, kind)
        assert len(sent) > 10
        return sent

    for number in stepping.steps("creation", KINDS, kind, undisturbed):
        prepare(db, kind)
        kill(database, number, kind)
        rows = 0 if kind == "plain" else ROWS
        assert db.execute("select count(*), count(distinct id) from public.logs").fetchone() == (rows, rows)
        with help_.session(database) as session:
            planned, outcomes = creation(what).run(session, AT)
            assert all_done(outcomes), (number, outcomes)
            left = [(a.kind, a.args["lower"], a.blocked) for a in creation(what).plan(session, AT).actions]
            assert left == [], (number, [(a.kind, a.blocked) for a in planned.actions], outcomes)
        check(db, kind)


def test_what_somebody_attached_since_is_not_dropped(
    database: str, db: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "DIRECT_ROWS", 0)
    prepare(db, "moved in steps")
    for number in range(1, 40):
        killed_process(database, number, "moved in steps")
        if db.execute("select to_regclass('public.logs_2024_02') is not null").fetchone() == (True,):
            break
    db.execute("drop trigger if exists zz_upkeep_move on public.logs_default")
    db.execute("delete from public.logs_default")
    db.execute(
        "alter table public.logs attach partition public.logs_2024_02 for values from ('2024-02-01') to ('2024-03-01')"
    )
    db.execute("insert into public.logs (at) values ('2024-02-07')")
    with help_.session(database) as session:
        planned, outcomes = creation(help_.target({"public.logs": POLICY})).run(session, AT)
    assert [a.kind for a in planned.actions] == ["remove_leftover", "create_partition"]
    assert all_done(outcomes), outcomes
    assert db.execute("select count(*) from public.logs_2024_02").fetchone() == (1,)
    marks = "select count(*) from pg_description where description like 'upkeep%'"
    assert db.execute(marks).fetchone() == (0,)


def prepare_regions(db: psycopg.Connection[Any], kind: str) -> None:
    db.execute("drop table if exists public.logs, public.logs_us")
    db.execute("create table public.logs (id bigint not null, region text, at timestamptz) partition by list (region)")
    db.execute("create index on public.logs (id)")
    db.execute("create table public.logs_eu partition of public.logs for values in ('eu') partition by hash (id)")
    db.execute("create table public.logs_eu_0 partition of public.logs_eu for values with (modulus 2, remainder 0)")
    if kind != "plain":
        db.execute("create table public.logs_default partition of public.logs default")
        region = "(array['us', null])[1 + n % 2]"
        db.execute(f"insert into public.logs select n, {region}, '2024-02-02' from generate_series(1, {ROWS}) n")


def whole_regions(db: psycopg.Connection[Any]) -> bool:
    """Return whether every partition that the root has is complete; no writer ever sees one without leaves."""
    rows = db.execute(
        "select count(*) from pg_partition_tree('public.logs') t where not t.isleaf and t.level = 1 and "
        "t.relid <> 'public.logs_eu'::regclass and "
        "(select count(*) from pg_inherits i where i.inhparent = t.relid) <> 2"
    ).fetchone()
    return rows == (0,)


@pytest.mark.parametrize("kill", [killed_process, killed_backend])
@pytest.mark.parametrize("kind", SUBS)
def test_a_sub_partitioned_child_killed_before_each_statement(
    database: str,
    db: psycopg.Connection[Any],
    kind: str,
    kill: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    *,
    stepping: Stepping,
) -> None:
    what, rows = help_.target({"public.logs": LISTS}), 0 if kind == "plain" else ROWS

    def undisturbed(kind: str) -> list[str]:
        tune(monkeypatch, kind)
        prepare_regions(db, kind)
        with help_.session(database) as session:
            sent = until(session, 0, lambda: None, kind, LISTS)
        assert len(sent) > 15
        return sent

    for number in stepping.steps("creation of a sub-partitioned child", SUBS, kind, undisturbed):
        prepare_regions(db, kind)
        kill(database, number, kind, LISTS)
        assert whole_regions(db), number
        assert db.execute("select count(*), count(distinct id) from public.logs").fetchone() == (rows, rows)
        with help_.session(database) as session:
            assert all_done(creation(what).run(session, AT).outcomes), number
            assert creation(what).plan(session, AT).actions == (), number
        tree = db.execute(
            "select c.relname from pg_partition_tree('public.logs') t join pg_class c on c.oid = t.relid "
            "where t.level > 0 and c.relname <> 'logs_default' order by 1"
        ).fetchall()
        names = ["logs_eu", "logs_eu_0", "logs_eu_1", "logs_us", "logs_us_0", "logs_us_1"]
        assert [name for (name,) in tree] == names, number
        found = db.execute(
            "select count(*), count(distinct id), (select count(*) from public.logs_us) from public.logs"
        )
        assert found.fetchone() == (rows, rows, rows), number
        left = db.execute(
            "select (select count(*) from pg_class where relname like 'upkeep%') "
            "+ (select count(*) from pg_proc where proname like 'upkeep%') "
            "+ (select count(*) from pg_trigger where tgname like '%upkeep%') "
            "+ (select count(*) from pg_constraint where conname like 'upkeep%') "
            "+ (select count(*) from pg_description where description like 'upkeep%') "
            "+ (select count(*) from pg_class where relname like 'logs\\_%' and relkind in ('r', 'p') "
            "and not relispartition)"
        ).fetchone()
        assert left == (0,), number
