"""Health of a TiDB cluster: one statement a check, ``include/sql/tidb/health_check/<check>.sql``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

import pymysql

from upkeep.jobs import checks, health_check
from upkeep.jobs.checks import Looked, Seen
from upkeep.jobs.contract import Ask, Job
from upkeep.jobs.health_check.headroom import CHECK as HEADROOM
from upkeep.model import Observation
from upkeep.tidb import faults, names, server
from upkeep.tidb.health_check import headroom, readings
from upkeep.tidb.session import STATEMENT_SECONDS, Row, TiDBSession

CHECK_SECONDS: Final = 5
_NO_SUCH: Final = frozenset({1054, 1109, 1146})
"""No such table or column: this TiDB is older than what is asked of it."""
_PROCESS: Final = "process on *.*"
_GRANTS: Final = {
    "connections_used": "process, config on *.*",
    "ddl_stuck": _PROCESS,
    "session_blocked": _PROCESS,
    "session_idle_in_transaction": _PROCESS,
    "transaction_long": _PROCESS,
    "member_state": _PROCESS,
    "disk_used": "config on *.*",
    "gc_stalled": "select on mysql.tidb",
    "statistics_health": "select on mysql.stats_meta",
}
_PARTIAL: Final = frozenset({"connections_used", "ddl_stuck", "session_idle_in_transaction", "transaction_long"})
"""Checks to which TiDB shows less, and no error, without PROCESS."""

_OF_MEMBERS: Final = frozenset({"connections_used", "disk_used", "member_state", "memory_used"})
"""Checks of which each member tells: no row at all is no good news."""

Reading: TypeAlias = Callable[[Ask[TiDBSession], list[Row]], Iterable[Seen]]


def observe(ask: Ask[TiDBSession]) -> Observation:
    """Measure; each check alone, each statement at most `CHECK_SECONDS`, none of them waiting for a lock."""
    session = ask.session
    session.rows("health_check/limits", {"milliseconds": CHECK_SECONDS * 1000})
    try:
        sees_others = server.sees_others(session)
        found = [_measure(ask, name, sees_others=sees_others) for name in health_check.measured(ask.target)]
    finally:
        if not (session.closed or session.cancelled):
            session.rows("health_check/limits", {"milliseconds": STATEMENT_SECONDS * 1000})
    return health_check.answer(ask, [row for rows, _ in found for row in rows], [look for _, look in found])


def _measure(ask: Ask[TiDBSession], name: str, *, sees_others: bool) -> tuple[list[Seen], Looked]:
    grant = f"grant {_GRANTS.get(name, 'select on the tables in care')} to {ask.server.role}"
    if name in _PARTIAL and not sees_others:
        return [], Looked(check=name, why=f"our user sees only what is its own: {grant}")
    try:
        if name == HEADROOM:
            return [*headroom.measure(ask)], Looked(check=name)
        rows = ask.session.rows(f"health_check/{name}")
        if name == readings.MEMBERS:
            rows = [*rows, *_stores(ask, rows)]
        if name in _OF_MEMBERS and not rows:
            return [], Looked(check=name, why="no member of the cluster tells", minds=name != "disk_used")
        read = _READINGS.get(name)
        seen = [checks.of_row(name, row) for row in rows] if read is None else [*read(ask, rows)]
    except pymysql.MySQLError as error:
        return [], _blind(name, error, grant)
    return seen, Looked(check=name)


def _blind(name: str, error: pymysql.MySQLError, grant: str) -> Looked:
    """Return why a check could not look."""
    number = faults.code(error)
    # what another server of the cluster refuses comes without its number
    if number in faults.PRIVILEGE or "Access denied" in str(error):
        return Looked(check=name, why=f"our user may not: {grant}")
    if number in _NO_SUCH:
        return Looked(check=name, why=f"this release of TiDB does not tell ({faults.describe(error)})", minds=False)
    if number in faults.INTERRUPTED:
        return Looked(check=name, why=f"it took longer than {CHECK_SECONDS} seconds", failed=True)
    return Looked(check=name, why=faults.describe(error), failed=True)


def _stores(ask: Ask[TiDBSession], members: list[Row]) -> list[Row]:
    """Return what the placement driver thinks of its stores; an embedded store has none, and no address of its own."""
    remote = any(row["kind"] != "tidb" and row["status_address"] for row in members)
    return ask.session.rows("health_check/stores") if remote else []


def _statistics(_ask: Ask[TiDBSession], rows: list[Row]) -> Iterable[Seen]:
    for row in rows:
        subject = names.display(row.pop("db_name"), row.pop("table_name"))
        yield checks.of_row("statistics_health", {**row, "subject": subject})


def _members(ask: Ask[TiDBSession], rows: list[Row]) -> Iterable[Seen]:
    return readings.members(rows, ask.memory.looks, ask.server.clock)


def _schema_changes(ask: Ask[TiDBSession], rows: list[Row]) -> Iterable[Seen]:
    patience = health_check.wanted(ask.target)[readings.DDL].warning or 0
    return readings.schema_changes(rows, ask.memory.looks, ask.server.clock, patience)


_READINGS: Final[Mapping[str, Reading]] = {
    readings.MEMBERS: _members,
    readings.DDL: _schema_changes,
    readings.GC: lambda _, rows: readings.collection(rows[0]),
    "statistics_health": _statistics,
}
"""What is made of a statement's rows where they are not yet what is judged."""

JOB: Final[Job[TiDBSession]] = Job(
    observe=observe, decide=health_check.decide, blind=health_check.blind, remembers=health_check.REMEMBERS
)
