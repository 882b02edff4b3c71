"""What rows of a table amount to: digests of whole rows, summed, whatever their order."""

from __future__ import annotations

from typing import Final

from upkeep.jobs.backup.marks import Mark
from upkeep.tidb import sql
from upkeep.tidb.names import Name
from upkeep.tidb.session import Row, TiDBSession
from upkeep.tidb.sql import Sql

ALL: Final = Sql("true")
_NONE: Final = Sql("")
UNREAD: Final = -1
"""In place of a sum: such rows are like no others."""
LOCKING: Final = Sql("for update")
"""Rows stay as they are until the transaction ends; new ones may come."""


def columns(session: TiDBSession, table: Name) -> Sql:
    """Return the whole row as texts; alike on every server where the table's columns are alike."""
    parts = []
    for column in session.rows("columns_of", {"schema": table.schema, "table": table.name}):
        kind = "char" if column["kind"].lower() == "json" else "binary"
        parts.append(
            sql.fill("ifnull(hex(cast({column} as " + kind + ")), '~')", column=sql.identifier(column["name"]))
        )
    return sql.joined(", ", parts)


def mark(
    session: TiDBSession,
    whole: Sql,
    source: Sql,
    predicate: Sql = ALL,
    *,
    hint: Sql = _NONE,
    locking: Sql = _NONE,
) -> Mark:
    """Return what the rows of a source amount to; ``whole``: what `columns` returned."""
    parts = {"columns": whole, "source": source, "predicate": predicate, "hint": hint, "locking": locking}
    return Mark.total(by_label(session, Sql("0"), **parts).values())


def by_label(session: TiDBSession, label: Sql, **parts: Sql) -> dict[str, Mark]:
    """Return what the rows of each label amount to; `UNREAD` in their place where one was too large to be digested."""
    rows = session.rows("marks", label=label, **{"hint": _NONE, "locking": _NONE, **parts})
    found = {str(row["label"]): row for row in rows}
    return {label: Mark(int(r["rows"]), *_sums(r)) for label, r in found.items()}


def _sums(row: Row) -> tuple[int, int]:
    return (UNREAD, UNREAD) if row["unread"] else (int(row["first"]), int(row["second"]))
