"""What index analysis reads: the catalog, the counters, what the look before had measured; no table is opened."""

from __future__ import annotations

from upkeep.jobs.contract import Ask
from upkeep.jobs.index_analysis import advice
from upkeep.model import Observation
from upkeep.postgres.session import PostgresSession, Row


def observe(ask: Ask[PostgresSession]) -> Observation:
    """Read the indexes of the database in three queries."""
    session = ask.session
    server = {
        "subject": "server",
        "reachable": True,
        "version": session.version,
        "version_tested": session.tested,
        "is_replica": session.is_replica,
    }
    frames: dict[str, list[Row]] = {
        "server": [server],
        "indexes": session.rows("indexes", {"table": None}),
        "foreign_keys": session.rows("index_analysis/foreign_keys"),
        "counters": session.rows("index_analysis/counters"),
        "earlier": advice.earlier(ask.memory),
    }
    return ask.answer(frames)
