"""What the tests of retention share: a memory like the ledger's, a run in one call, a look at the result."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg

from tests.harness.creation import nothing, session, target
from upkeep.fleet import Target
from upkeep.jobs.contract import Work
from upkeep.model import Action, Finding, Memory, Observation, Outcome, OutcomeStatus, Plan
from upkeep.postgres.data_retention import JOB
from upkeep.postgres.session import PostgresSession

__all__ = ["Book", "Run", "months", "session", "target"]

AT = datetime(2024, 6, 15, 12, tzinfo=UTC)
"""Tests with fixed dates run as of this day."""


@dataclass
class Run:
    """One run and what it left."""

    observation: Observation
    plan: Plan
    outcomes: list[Outcome]

    @property
    def kinds(self) -> list[str]:
        return [a.kind for a in self.plan.actions if a.kind != "analyze"]

    @property
    def statuses(self) -> list[str]:
        statistics = {a.id for a in self.plan.actions if a.kind == "analyze"}
        return [o.status.value for o in self.outcomes if o.action_id not in statistics]

    def finding(self, check: str) -> Finding:
        return next(f for f in self.plan.findings if f.check == check)

    def checks(self) -> list[str]:
        return [f.check for f in self.plan.findings]


@dataclass
class Book:
    """Remembers what the ledger would: detached partitions, and intents that have no outcome."""

    detached: dict[str, Any] = field(default_factory=dict)
    intents: list[Action] = field(default_factory=list)
    notes: list[Any] = field(default_factory=list)

    @property
    def memory(self) -> Memory:
        return Memory(
            detached=self.detached,
            intents=[a.model_dump(mode="json") for a in self.intents],
            locations={n["archive_location"]: n["location_id"] for n in self.notes if "location_id" in n},
        )

    def observe(self, opened: PostgresSession, what: Target, at: datetime | None = None) -> Observation:
        observed = JOB.observe(opened, what, at or opened.now(), self.memory)
        return Observation.model_validate_json(observed.model_dump_json())  # as the ledger hands it on

    def plan(self, opened: PostgresSession, what: Target, at: datetime | None = None) -> Plan:
        return JOB.plan(self.observe(opened, what, at), what)

    def apply(  # noqa: PLR0917 - as `Work` has them
        self,
        opened: PostgresSession,
        what: Target,
        action: Action,
        observation: Observation,
        checkpoint: Callable[..., None] = nothing,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Outcome:
        self.intents.append(action)
        outcome = JOB.apply(Work(opened, what, action, observation, checkpoint, sleep, self.notes.append))
        self.intents.remove(action)
        if outcome.status is OutcomeStatus.DONE and action.kind == "detach_partition":
            self.detached[str(outcome.evidence["oid"])] = outcome.evidence
        return outcome

    def run(
        self,
        opened: PostgresSession,
        what: Target,
        at: datetime | None = None,
        *,
        checkpoint: Callable[..., None] = nothing,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Run:
        """Do everything that is not blocked, as if a person had approved it."""
        observation = self.observe(opened, what, at)
        planned = JOB.plan(observation, what)
        done: set[str] = set()
        planned_ids = {a.id for a in planned.actions}
        outcomes = []
        for action in planned.actions:
            if action.blocked or any(i in planned_ids and i not in done for i in action.after):
                continue
            outcome = self.apply(opened, what, action, observation, checkpoint, sleep)
            outcomes.append(outcome)
            if outcome.status is OutcomeStatus.DONE:
                done.add(action.id)
        return Run(observation, planned, outcomes)

    def after(self, opened: PostgresSession, what: Target, run: Run) -> dict[str, list[dict[str, Any]]]:
        """Return the frames of the gate after."""
        observation = self.observe(opened, what, run.plan.at)
        return dict(JOB.frames(observation, what, "after", run.plan, run.outcomes))


def months(connection: psycopg.Connection[Any], first: int, last: int, *, rows: int = 10, name: str = "logs") -> None:
    """Make a table with monthly partitions of 2024, ``rows`` rows in each."""
    connection.execute(
        f"create table public.{name} (id bigint generated always as identity, at timestamptz not null, msg text, "
        f"primary key (id, at)) partition by range (at)"
    )
    for month in range(first, last + 1):
        connection.execute(
            f"create table public.{name}_{month} partition of public.{name} "
            f"for values from ('2024-{month:02}-01+00') to ('{2024 + month // 12}-{month % 12 + 1:02}-01+00')"
        )
        connection.execute(
            f"insert into public.{name} (at, msg) select timestamptz '2024-{month:02}-01+00' + n * interval '1 hour', "
            f"'row ' || n from generate_series(1, {rows}) n"
        )
    connection.execute(f"analyze public.{name}")


def attached(connection: psycopg.Connection[Any], table: str) -> list[str]:
    """Return the names of a table's partitions."""
    rows = connection.execute(
        "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid "
        "where i.inhparent = %s::regclass and not i.inhdetachpending order by c.relname",
        [table],
    ).fetchall()
    return [row[0] for row in rows]


def count(connection: psycopg.Connection[Any], table: str, where: str = "true") -> int:
    row = connection.execute(f"select count(*) from {table} where {where}").fetchone()
    assert row is not None
    return int(row[0])


def exists(connection: psycopg.Connection[Any], table: str) -> bool:
    row = connection.execute("select to_regclass(%s) is not null", [table]).fetchone()
    assert row is not None
    return bool(row[0])
