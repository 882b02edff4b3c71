"""What the tests of partition creation share: a fleet in one line, a run in one call, a look at the result."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from upkeep import fleet
from upkeep.engines import Address
from upkeep.jobs.contract import Work
from upkeep.model import Action, Memory, Observation, Outcome, Plan
from upkeep.postgres.engine import ENGINE
from upkeep.postgres.partition_creation import JOB
from upkeep.postgres.session import PostgresSession

MONTHLY = "partition: {by: at, every: 1 month, ahead: 2}"
NO_MEMORY = Memory()


def address(uri: str, **other: Any) -> Address:
    known = conninfo_to_dict(uri)
    values = {
        "connection_id": "target",
        "host": str(known["host"]),
        "port": int(known["port"] or 5432),
        "user": str(known["user"]),
        "database": str(known["dbname"]),
        "password": str(known.get("password") or ""),
    }
    return Address(**{**values, **other})


@contextmanager
def session(uri: str, **other: Any) -> Iterator[PostgresSession]:
    with ENGINE.open(address(uri, **other), application="upkeep test") as opened:
        yield opened


def target(tables: dict[str, str]) -> fleet.Target:
    lines = ["version: 1", "targets:", "  t:", "    engine: postgres", "    connection: target", "    tables:"]
    for name, policy in tables.items():
        quoted = name.replace("'", "''")
        lines += [f"      '{quoted}':", f"        {policy}"]
    return fleet.parse("\n".join(lines)).target("t")


def on(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def observe(opened: PostgresSession, what: fleet.Target, at: datetime | None = None) -> Observation:
    observed = JOB.observe(opened, what, at or opened.now(), NO_MEMORY)
    return Observation.model_validate_json(observed.model_dump_json())  # as the ledger hands it on


def plan(opened: PostgresSession, what: fleet.Target, at: datetime | None = None) -> Plan:
    return JOB.plan(observe(opened, what, at), what)


def nothing(message: str = "", *, rows: int = 0) -> None:
    """Stand in for a checkpoint that lets the run go on."""


def work(
    opened: PostgresSession,
    what: fleet.Target,
    action: Action,
    observation: Observation,
    checkpoint: Callable[..., None] = nothing,
) -> Work:
    return Work(
        session=opened,
        target=what,
        action=action,
        observation=observation,
        checkpoint=checkpoint,
        sleep=time.sleep,
        note=lambda _: None,
    )


def run(opened: PostgresSession, what: fleet.Target, at: datetime | None = None) -> tuple[Plan, list[Outcome]]:
    observation = observe(opened, what, at)
    planned = JOB.plan(observation, what)
    runnable = [a for a in planned.actions if a.blocked is None and not a.needs_person]
    return planned, [JOB.apply(work(opened, what, a, observation)) for a in runnable]


def bounds(connection: psycopg.Connection[Any], table: str) -> list[str]:
    """Return the bounds of a table's partitions in the order of their lower bounds, as in UTC, the default last."""
    connection.execute("set timezone = 'UTC'")
    rows = connection.execute(
        "select pg_get_expr(c.relpartbound, c.oid) from pg_inherits i join pg_class c on c.oid = i.inhrelid "
        "where i.inhparent = %s::regclass",
        [table],
    ).fetchall()
    texts = [r[0].replace("FOR VALUES FROM ", "").replace("'", "").replace(" 00:00:00", "") for r in rows]
    return sorted(t.replace("+00", "").replace(") TO (", "..").strip("()") for t in texts)


def all_done(outcomes: list[Outcome]) -> bool:
    return all(o.status == "done" for o in outcomes)
