"""A conversion, and its undo, killed at every statement: the table stays usable with all rows, the next run ends it."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.harness import conversions as conv
from tests.harness import postgres as help_
from tests.harness.jobs import all_done, undo
from tests.harness.postgres import creation
from tests.harness.stepping import Stepping
from upkeep.model import Action, Outcome
from upkeep.postgres.partition_creation import JOB
from upkeep.postgres.session import ConnectionLostError, PostgresSession

WHAT = help_.target({"public.logs": conv.POLICY})
ROWS = 50
MADE = """
    create table public.logs (
        id bigint generated always as identity, n serial, at timestamptz not null default now(),
        place int references public.places, primary key (id, at))
"""


@pytest.fixture
def db(database: str) -> Any:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("create table public.places (id int primary key)")
        connection.execute("insert into public.places values (1)")
        connection.execute(
            "create function public.f() returns trigger language plpgsql as 'begin new.place = 1; return new; end'"
        )
        yield connection


def prepare(db: conv.Db) -> None:
    db.execute("drop table if exists public.logs")
    db.execute(MADE)
    db.execute("create trigger tr before insert on public.logs for each row execute function public.f()")
    db.execute(f"insert into public.logs (at) select now() - g * interval '1 day' from generate_series(1, {ROWS}) g")


def use(db: conv.Db) -> None:
    """Use the table under its name: every row is there, once, and writers go on."""
    db.execute("insert into public.logs default values")
    assert db.execute("delete from public.logs where id > %s returning place, n = id", [ROWS]).fetchall() == [(1, True)]
    counts = db.execute("select count(*), count(distinct id), max(id) from public.logs").fetchone()
    assert counts == (ROWS, ROWS, ROWS)
    db.execute(f"select setval(pg_get_serial_sequence('public.logs', c), {ROWS}) from unnest(array['id', 'n']) c")


Step = Callable[[PostgresSession], object]


def killed_process(database: str, number: int, step: Step) -> None:
    child = os.fork()
    if child == 0:
        try:
            with help_.session(database) as session:
                stepped(session, number, lambda: os.kill(os.getpid(), signal.SIGKILL), step)
        finally:
            os._exit(3)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)


def killed_backend(database: str, number: int, step: Step) -> None:
    with help_.session(database) as session:

        def kill() -> None:
            with psycopg.connect(database, autocommit=True) as other:
                other.execute("select pg_terminate_backend(%s, 5000)", [session.backend_pid])

        with contextlib.suppress(ConnectionLostError):  # the runner records it
            stepped(session, number, kill, step)


def stepped(session: PostgresSession, number: int, kill: Callable[[], None], step: Step) -> list[str]:
    """Run ``step`` with ``kill`` called before statement ``number``; return what was sent."""
    sent: list[str] = []

    def trace(statement: str) -> None:
        sent.append(statement)
        if len(sent) == number:
            kill()

    session.trace = trace
    step(session)
    return sent


def conversion(session: PostgresSession) -> Callable[[PostgresSession], Outcome]:
    """Plan a conversion; return what carries it out."""
    observation = creation(WHAT).observe(session)
    (action,) = [a for a in JOB.plan(observation, WHAT).actions if a.kind == "convert_table"]
    return lambda opened: creation(WHAT).apply(opened, action, observation)


def kind(db: conv.Db) -> str:
    row = db.execute("select relkind::text from pg_class where oid = 'public.logs'::regclass").fetchone()
    assert row is not None
    return str(row[0])


@pytest.mark.parametrize("kill", [killed_process, killed_backend])
def test_killed_before_each_statement(
    database: str, db: Any, kill: Callable[[str, int, Step], None], stepping: Stepping
) -> None:
    prepare(db)
    with help_.session(database) as session:
        sent = stepped(session, 0, lambda: None, conversion(session))
    use(db)
    assert len(sent) > 30
    seen = set()
    for number in stepping.chosen("conversion", sent):
        prepare(db)
        with help_.session(database) as session:
            step = conversion(session)
        kill(database, number, step)
        seen.add((kind(db), conv.left_behind(db)))
        use(db)
        with help_.session(database) as session:
            run_on(session, number)
            assert creation(WHAT).plan(session).actions == (), number
        assert kind(db) == "p"
        assert conv.left_behind(db) == 0, number
        use(db)
    assert ("r", 0) in seen
    assert ("r", 2) in seen  # the CHECK and its comment
    assert ("p", 0) in seen


def run_on(session: PostgresSession, number: int) -> None:
    """Do as a person's run does: remove what was left, convert, create."""
    observation = creation(WHAT).observe(session)
    for action in JOB.plan(observation, WHAT).actions:
        outcome = creation(WHAT).apply(session, action, observation)
        assert outcome.status == "done", (number, outcome)


def test_an_approved_plan_carries_on_with_what_was_left(database: str, db: Any) -> None:
    """The CHECK of a killed run is used again by the plan that alone was approved."""
    prepare(db)
    with help_.session(database) as session:
        step = conversion(session)
        total = len(stepped(session, 0, lambda: None, step))
    for number in range(1, total):
        prepare(db)
        with help_.session(database) as session:
            step = conversion(session)
        killed_process(database, number, step)
        if conv.left_behind(db):
            break
    with help_.session(database) as session:
        sent = stepped(session, 0, lambda: None, step)
        assert not any("not valid" in s for s in sent)
    assert kind(db) == "p"
    assert conv.left_behind(db) == 0


@pytest.mark.versions
def test_what_was_left_is_removed_without_a_person(database: str, db: Any) -> None:
    """Nobody need approve for writers beyond the bound to be let in again."""
    prepare(db)
    with help_.session(database) as session:
        step = conversion(session)
    for number in range(1, 40):
        killed_process(database, number, step)
        if conv.left_behind(db):
            break
    with pytest.raises(psycopg.errors.CheckViolation):
        db.execute("insert into public.logs (at) values ('2500-01-01')")
    with help_.session(database) as session:
        planned, outcomes = creation(WHAT).run(session)
    assert [a.kind for a in planned.actions] == ["remove_leftover", "convert_table"]
    assert all_done(outcomes)
    assert len(outcomes) == 1
    assert conv.left_behind(db) == 0
    db.execute("insert into public.logs (at) values ('2500-01-01')")


@pytest.mark.parametrize("kill", [killed_process, killed_backend])
def test_undo_killed_before_each_statement(
    database: str, db: Any, kill: Callable[[str, int, Step], None], stepping: Stepping
) -> None:
    def undoing(done: tuple[Action, Outcome]) -> Step:
        return lambda opened: undo(JOB, opened, *done)

    prepare(db)
    with help_.session(database) as session:
        _, action, outcome = conv.convert(session, WHAT)
        sent = stepped(session, 0, lambda: None, undoing((action, outcome)))
    assert kind(db) == "r"
    use(db)
    for number in stepping.chosen("undo of a conversion", sent):
        prepare(db)
        with help_.session(database) as session:
            _, action, outcome = conv.convert(session, WHAT)
        kill(database, number, undoing((action, outcome)))
        use(db)
        with help_.session(database) as session:
            again = undo(JOB, session, action, outcome)
        assert again.status == "done", (number, again)
        assert kind(db) == "r"
        assert db.execute("select count(*) from pg_inherits").fetchone() == (0,)
        assert conv.left_behind(db) == 0
        use(db)
