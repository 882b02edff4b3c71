"""`upkeep check` on TiDB: version, whether it really is a TiDB, and whether the tables in care are there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pymysql

from upkeep.engines import connected
from upkeep.fleet import Target
from upkeep.model import Finding, FindingStatus, Severity
from upkeep.tidb import catalog, ddl, faults, names, rights, server
from upkeep.tidb.catalog import Table
from upkeep.tidb.session import TESTED_VERSIONS, TiDBSession

_OK: Final = (FindingStatus.OK, Severity.INFO)
_BAD: Final = (FindingStatus.FINDING, Severity.ERROR)


def check(session: TiDBSession, target: Target) -> list[Finding]:
    """Return what was found: the server first, then one line for each policy's table."""
    tested = ", ".join(TESTED_VERSIONS)
    found = [connected(target, session.version, tested=session.tested, tested_versions=tested)]
    if not session.is_tidb:
        text = f"this server is not TiDB: it says {session.version}"
        found.append(
            _finding("version", target.name, _BAD, text, "give the address of a TiDB server (default port 4000)")
        )
    if session.is_replica:
        text = "the server is read only: nothing can be changed there"
        found.append(_finding("role", target.name, _BAD, text, "give the address of the primary cluster"))
    found += _placement(session, target)
    if session.is_tidb:
        found += rights.findings(session, target)
    return [*found, *_tables(session, target)]


def _tables(session: TiDBSession, target: Target) -> Iterator[Finding]:
    patterns = {key: names.parse(key) for key in target.tables}
    rows = catalog.tables(session, patterns.values())
    relations = [Table(**row) for row in rows]
    others = catalog.no_tables(session, patterns.values(), rows)
    for key, matched in catalog.by_policy(relations, patterns, session.database).items():
        kind = catalog.kind_of(others, patterns[key], session.database)
        if not matched and kind is not None:
            yield _finding("table", key, _BAD, f"it is {kind}, not a table", catalog.NAME_A_TABLE)
        elif not matched:
            yield _finding("table", key, _BAD, "there is no such table", "check database, name and quotes")
        for table in matched:
            try:
                ddl.show_create(session, table.schema, table.name)
            except pymysql.MySQLError as error:
                text = f"it cannot be read: {faults.describe(error)}"
                remedy = rights.Held.by(session).remedy("select", (table.schema, "*"))
                yield _finding("privileges", table.subject, _BAD, text, remedy)
            else:
                yield _finding("table", table.subject, _OK, "found", None)


def _placement(session: TiDBSession, target: Target) -> Iterator[Finding]:
    """Say what a server without placement driver (a single node) cannot tell."""
    text = server.not_seen(server.placement_driver(session))
    if text is not None:
        unseen = FindingStatus.NOT_AVAILABLE
        remedy = "nothing depends on them here"
        yield Finding.of("placement_driver", target.name, Severity.INFO, text, remedy, status=unseen)


def _finding(check: str, subject: str, state: tuple[FindingStatus, Severity], text: str, remedy: str | None) -> Finding:
    status, severity = state
    return Finding.of(check, subject, severity, text, remedy, status=status)
