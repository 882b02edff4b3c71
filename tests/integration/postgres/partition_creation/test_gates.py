"""The gates of partition creation on what it really delivers."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.harness import postgres as help_
from tests.harness.jobs import on
from tests.harness.postgres import creation
from upkeep import gates
from upkeep.postgres.partition_creation import JOB

AT = on("2024-02-15 12:00")
POLICY = "partition: {by: at, every: 1 month, ahead: 1}"


@pytest.fixture
def db(database: str) -> Any:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("create table public.good (at timestamptz not null) partition by range (at)")
        connection.execute("create table public.good_default partition of public.good default")
        connection.execute("insert into public.good values ('2024-02-02'), ('3000-01-01')")
        connection.execute("create table public.listed (r text) partition by list (r)")
        connection.execute("create table public.plain (id int primary key, at timestamptz)")
        yield connection


def test_gates_before_and_after(database: str, db: psycopg.Connection[Any]) -> None:
    what = help_.target({f"public.{t}": POLICY for t in ("good", "listed", "plain", "missing")})
    with help_.session(database) as session:
        first = creation(what).observe(session, AT)
        before = gates.evaluate("partition_creation", "postgres", "before", JOB.frames(first, what, "before", None, []))
        planned, outcomes = creation(what).run(session, AT)
        frames = JOB.frames(creation(what).observe(session, AT), what, "after", planned, outcomes)
    assert not before.stops_target
    assert before.stopped_subjects == {"public.plain", "public.missing"}
    after = gates.evaluate("partition_creation", "postgres", "after", frames)
    assert after.success, after.failed


def test_the_gate_after_fails_when_nothing_was_created(database: str, db: psycopg.Connection[Any]) -> None:
    what = help_.target({"public.good": POLICY})
    with help_.session(database) as session:
        observation = creation(what).observe(session, AT)
    frames = JOB.frames(observation, what, "after", None, [])
    after = gates.evaluate("partition_creation", "postgres", "after", frames)
    assert not after.success
    assert after.stopped_subjects == {"public.good"}


def test_only_what_comes_later_is_no_failure(database: str, db: psycopg.Connection[Any]) -> None:
    what = help_.target({"public.listed": POLICY})
    with help_.session(database) as session:
        observation = creation(what).observe(session, AT)
    for stage in ("before", "after"):
        frames = JOB.frames(observation, what, stage, JOB.plan(observation, what), [])
        result = gates.evaluate("partition_creation", "postgres", stage, frames)
        assert result.success, result.failed
