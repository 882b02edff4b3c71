"""Health of a PostgreSQL server: one statement a check, ``include/sql/postgres/health_check/<check>.sql``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import psycopg

from upkeep.jobs import checks, health_check
from upkeep.jobs.checks import Looked, Seen
from upkeep.jobs.contract import Ask, Job
from upkeep.model import Observation
from upkeep.postgres import faults
from upkeep.postgres.session import PostgresSession

_ELSEWHERE: Final = {"disk_used": "the server does not tell how full its disk is"}
"""Checks that no statement answers."""


def observe(ask: Ask[PostgresSession]) -> Observation:
    """Measure; each check alone, each statement at most a second, none of them waiting for a lock."""
    ask.session.rows("health_check/limits")
    seen: list[Seen] = []
    looked: list[Looked] = []
    for name in health_check.measured(ask.target):
        rows, look = _measure(ask, name)
        seen += rows
        looked.append(look)
    return health_check.answer(ask, seen, looked)


def _measure(ask: Ask[PostgresSession], name: str) -> tuple[list[Seen], Looked]:
    if name in _ELSEWHERE:
        return [], Looked(check=name, why=_ELSEWHERE[name], minds=False)
    try:
        rows = ask.session.rows(f"health_check/{name}")
    except psycopg.errors.InsufficientPrivilege as error:
        return [], Looked(check=name, why=f"{faults.describe(error)}: grant pg_monitor to {ask.server.role}")
    except psycopg.Error as error:
        if ask.session.connection.closed:
            raise
        return [], Looked(check=name, why=faults.describe(error), failed=True)
    return [*_judgeable(ask, name, rows)], Looked(check=name)


def _judgeable(ask: Ask[PostgresSession], name: str, rows: list[dict[str, Any]]) -> Iterator[Seen]:
    """Yield the rows as what was seen; of counters, by how much they have grown since the last look."""
    for row in rows:
        yield checks.of_row(name, row)


JOB: Final[Job[PostgresSession]] = Job(
    observe=observe, decide=health_check.decide, blind=health_check.blind, remembers=health_check.REMEMBERS
)
