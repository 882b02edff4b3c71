"""Some numbers of a column: enough to see whether they are times in the unit that was declared."""

from __future__ import annotations

import contextlib
from typing import Final

import psycopg
from psycopg import sql

from upkeep.postgres.catalog import Relation
from upkeep.postgres.session import PostgresSession

_UNSEEN: Final = (psycopg.OperationalError, psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable)
"""Locked, too slow, on another server, not ours to read, or gone; a lost connection is none of these."""
SAMPLE_LEAVES: Final = 8
SAMPLE_TIMEOUT: Final = "2s"
"""A hundred rows, and the highest number of an index, come at once; without an index the rows must do."""


def sample(session: PostgresSession, relation: Relation, column: str) -> list[int]:
    """Return a column's highest number and some others; what cannot be read now is left out, and said elsewhere."""
    key, found = sql.Identifier(column), list[int]()
    for table in _local(session, relation, column):
        for name in ("sample_numbers", "highest_in"):
            with contextlib.suppress(*_UNSEEN), session.transaction():
                session.rows("set_local_timeouts", {"lock": "1s", "statement": SAMPLE_TIMEOUT})
                rows = session.execute(session.statement(name, key=key, table=table))
                found += [row["at"] for row in rows if row["at"] is not None]
    return found


def _local(session: PostgresSession, relation: Relation, column: str) -> list[sql.Identifier]:
    """Return what to read a table's rows from: itself, or some partitions where others lie on another server."""
    if relation.kind != "p" or not session.rows("foreign_below", {"oids": [relation.oid]}):
        return [relation.full_name.identifier]
    leaves = []
    with contextlib.suppress(*_UNSEEN), session.transaction():
        session.rows("set_local_timeouts", {"lock": "1s", "statement": SAMPLE_TIMEOUT})
        leaves = session.rows("leaves", {"roots": [relation.oid], "ages": [column]})
    own = [sql.Identifier(leaf["schema"], leaf["name"]) for leaf in leaves if leaf["kind"] == "r" and leaf["pages"]]
    return own[:SAMPLE_LEAVES]
