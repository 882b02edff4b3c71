"""Whether a column's numbers are times in the unit that is declared, and for how long its type lasts."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg import sql

from upkeep.partitioning import limits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from upkeep.plan import Finding
    from upkeep.postgres.catalog import Relation
    from upkeep.postgres.creation_model import Care
    from upkeep.postgres.session import PostgresSession

_UNSEEN: Final = (
    *(psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled),
    *(psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable),
)
SAMPLE_TIMEOUT: Final = "2s"
"""A hundred rows, and the highest number of an index, come at once; without an index the rows must do."""
_REMEDY: Final = (
    "make a new table partitioned by a bigint column and move the rows there in time: the type of a partition key "
    "cannot be altered"
)


def sample(session: PostgresSession, relation: Relation, column: str) -> list[int]:
    """Return a column's highest number and some others; what cannot be read now is left out, and said elsewhere."""
    parts = {"key": sql.Identifier(column), "table": relation.full_name.identifier}
    found: list[int] = []
    for name in ("sample_numbers", "highest_in"):
        with contextlib.suppress(*_UNSEEN), session.transaction():
            session.rows("set_local_timeouts", {"lock": "1s", "statement": SAMPLE_TIMEOUT})
            found += [row["at"] for row in session.execute(session.statement(name, **parts)) if row["at"] is not None]
    return found


def type_end(care: Care, now: datetime) -> Iterator[Finding]:
    """Yield that the partition column's type ends, while there is time to do something about it."""
    axis, layout = care.axis, care.layout
    if axis is None or layout is None or care.relation is None:
        return
    key = f"{care.relation.key_columns[0]} ({axis.type})"
    place = care.place if care.place is not None else layout.current
    yield from limits.type_end(care.subject, key, axis, layout, place, now, _REMEDY)
