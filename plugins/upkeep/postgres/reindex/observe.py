"""What reindexing reads: catalog and statistics; with an extension that measures pages, the largest indexes.

Nothing is changed, and no lock is waited for.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import Final

import psycopg
from psycopg import sql

from upkeep.jobs.contract import Ask
from upkeep.jobs.reindex.request import ReindexRequest, asked
from upkeep.model import Observation
from upkeep.postgres import names
from upkeep.postgres.reindex import space
from upkeep.postgres.session import PostgresSession, Row

OLD_SECONDS: Final = 300.0
"""What has been open for so long is not waited for: nothing is begun beside it."""
MEASURE_SECONDS: Final = 60.0
"""So long the pages of indexes are read for, the largest first; of the others statistics tell."""


def observe(ask: Ask[PostgresSession]) -> Observation:
    """Read the indexes of the database, and how full those are that may be rebuilt."""
    session, request = ask.session, asked(ask.request)
    server = {
        "subject": "server",
        "reachable": True,
        "version": session.version,
        "version_number": session.version_number,
        "version_tested": session.tested,
        "is_replica": session.is_replica,
        "unseen": session.rows("reindex/unseen")[0]["sessions"],
    }
    indexes = session.rows("indexes", {"table": None})
    wanted = _wanted(indexes, request)
    sizes = session.rows("reindex/widths", {"indexes": [row["oid"] for row in wanted]}) if wanted else []
    _measure(session, wanted, sizes)
    tables = [row["table_oid"] for row in wanted]
    return ask.answer(
        {
            "server": [server],
            "indexes": indexes,
            "sizes": sizes,
            "places": space.places(session) if wanted else [],
            "waits": waits(session, tables) if wanted else [],
        }
    )


def _wanted(indexes: Sequence[Row], request: ReindexRequest) -> list[Row]:
    """Return the indexes that may be rebuilt, the largest first."""
    if request.index:
        good, _ = names.parse_all(request.index)
        exact = {(name.schema, name.name) for name in good.values()}
        found = [row for row in indexes if (row["schema"], row["name"]) in exact]
    else:
        found = [row for row in indexes if row["bytes"] >= request.least_bytes and row["is_valid"]]
    return sorted(found, key=lambda row: -row["bytes"])


def waits(session: PostgresSession, tables: Sequence[int]) -> list[Row]:
    """Return what rebuilding indexes of these tables would have to wait for too long."""
    return session.rows("reindex/waits", {"tables": list(tables), "seconds": OLD_SECONDS})


def function(session: PostgresSession, name: str) -> sql.Identifier | None:
    """Return a function of an extension that is there and that our role may call."""
    there = [row for row in session.rows("reindex/functions") if row["name"] == name and row["may_call"]]
    return sql.Identifier(there[0]["schema"], name) if there else None


def _measure(session: PostgresSession, wanted: Sequence[Row], sizes: Sequence[Row]) -> None:
    """Add what is measured of the pages to the sizes, as far as the time suffices."""
    measuring = function(session, "pgstatindex") if sizes else None
    if measuring is None:
        return
    by_oid = {row["oid"]: row for row in sizes}
    end = time.monotonic() + MEASURE_SECONDS
    for row in wanted:
        left = round((end - time.monotonic()) * 1000)
        if row["oid"] not in by_oid or row["is_partitioned"] or not row["is_valid"]:
            continue
        if left <= 0:
            return
        # one that is locked, or too large for what is left of the time, is estimated
        with contextlib.suppress(psycopg.Error), session.transaction():
            session.rows("set_local_timeouts", {"lock": "100ms", "statement": f"{left}ms"})
            statement = session.statement("reindex/measure", function=measuring)
            found = session.execute(statement, {"index": row["oid"]}).fetchall()[0]
            row["bytes"] = found.pop("bytes")
            by_oid[row["oid"]].update(found)
