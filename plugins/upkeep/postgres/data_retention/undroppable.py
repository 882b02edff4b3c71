"""Due partitions that stay attached: once detached, they could never be dropped. Said before, not every night after.

Also what lies on another server: nothing of a foreign table can be deleted, moved or dropped as rows of ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import psycopg

from upkeep.jobs.errors import StateChangedError
from upkeep.model import Finding, FindingStatus, Severity
from upkeep.postgres import catalog, faults, names
from upkeep.postgres.data_retention.counting import CHECK_TIMEOUT
from upkeep.postgres.data_retention.detach import place
from upkeep.postgres.data_retention.view import TableView
from upkeep.postgres.session import PostgresSession, Row

SHOWN = 5
"""Names that a sentence lists."""


class Obstacle(NamedTuple):
    """Why a partition stays, and what a person would do."""

    check: str
    text: str
    remedy: str


def read(session: PostgresSession, views: Sequence[TableView]) -> list[Row]:
    """Return what keeps each due partition from being dropped, one query for the whole database."""
    due = {p.partition.oid for v in views if v.problem is None and v.relation is not None for p in v.due_pieces}
    return [row for row in _look(session, sorted(due)) if _is_held(row)] if due else []


def _look(session: PostgresSession, oids: Sequence[int]) -> list[Row]:
    try:
        with session.transaction():
            session.rows("set_local_timeouts", {"lock": "1s", "statement": CHECK_TIMEOUT})
            return session.rows("data_retention/held", {"oids": list(oids)})
    except psycopg.Error as error:  # a lost connection is none of these: nobody knows what holds them, so they stay
        seen = {"owner": "", "owner_is_superuser": False, "may_drop": False, "foreign_tables": [], "dependants": []}
        return [{"oid": oid, **seen, "unseen": faults.describe(error)} for oid in oids]


def _is_held(row: Mapping[str, Any]) -> bool:
    return bool(row["foreign_tables"] or row["dependants"] or not row["may_drop"])


def obstacle(row: Mapping[str, Any], partition: str, parent: str) -> Obstacle | None:
    """Return why a partition stays, from what was read of it; pure."""
    if row.get("unseen"):
        text = f"what depends on it could not be looked at, it stays ({row['unseen']})"
        return Obstacle("dependants", text, "the next run looks again")
    if row["foreign_tables"]:
        where = "it is" if row["foreign_tables"] == [partition] else f"{_listed(row['foreign_tables'])} below it is"
        return Obstacle(
            "foreign_partition",
            f"{where} a foreign table: its rows lie on another server and are not deleted or moved from here",
            f"alter table {parent} detach partition {partition}; declare retention where the rows are",
        )
    if row["dependants"]:
        return Obstacle(
            "dependants",
            f"{_listed(row['dependants'])} depend{'s' if len(row['dependants']) == 1 else ''} on it by name: detached, "
            "it could never be dropped",
            f"let them read {parent}, or drop them; then it goes",
        )
    if not row["may_drop"]:
        grant = catalog.handed(row["owner"], [partition], "our role", superuser=row["owner_is_superuser"])
        return Obstacle("privileges", f"{names.quote(row['owner'])} owns it: our role could never drop it", grant)
    return None


def _listed(known: Sequence[str]) -> str:
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return ", ".join(known[:SHOWN]) + more


def findings(view: TableView) -> Iterator[Finding]:
    """Yield why due partitions stay attached."""
    for piece in view.due_pieces:
        row = (view.undroppable or {}).get(piece.partition.oid)
        partition = piece.partition.subject
        found = obstacle(row, partition, piece.parent.subject) if row is not None else None
        if found is not None and (view.by_partition or not (row or {}).get("foreign_tables")):  # else said of the rows
            text = f"{partition} is due but stays: {found.text}"
            about = {"partition": partition, "dependants": row["dependants"] if row else []}
            status = FindingStatus.NOT_AVAILABLE if (row or {}).get("unseen") else FindingStatus.FINDING
            yield Finding.of(
                found.check, view.subject, Severity.WARNING, text, found.remedy, evidence=about, status=status
            )


def require_free(session: PostgresSession, oid: int) -> None:
    """Look again, just before a partition is detached.

    Raises
    ------
    StateChangedError
        Somebody made something since that would keep it from ever being dropped.
    """
    here = place(session, oid)
    if here is None or not here.is_partition or here.detach_pending:
        return
    for row in _look(session, [oid]):
        found = obstacle(row, here.subject, names.display(here.parent_schema or "", here.parent_name or ""))
        if found is not None:
            raise StateChangedError(f"{here.subject} stays: {found.text}; {found.remedy}")
