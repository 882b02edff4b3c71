"""How many rows a table holds, counted in bounded time: without a lock that others meet."""

from __future__ import annotations

from typing import Final

import psycopg
from psycopg import sql

from upkeep.postgres.session import PostgresSession

CHECK_TIMEOUT: Final = "30s"
"""One look at the rows (a count, a search for references) takes no longer; longer, and it is said to be unknown."""


def count(session: PostgresSession, table: sql.Composable, limit: int, *, timeout: str = CHECK_TIMEOUT) -> int | None:
    """Return how many rows the table holds, ``limit`` at most; ``None`` when it could not be counted in time."""
    statement = session.statement("data_retention/count", table=table, limit=sql.Literal(limit))
    try:
        with session.transaction():
            session.rows("set_local_timeouts", {"lock": "2s", "statement": timeout})
            return int(session.execute(statement).fetchall()[0]["found"])
    except (psycopg.OperationalError, psycopg.errors.InsufficientPrivilege):  # another server may be asked
        return None
