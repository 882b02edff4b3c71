"""What a killed run left half made, known by its comment, and how it is removed.

A half made partition holds nothing but copies: the rows themselves are in the default partition until the
very transaction that attaches. So it is dropped, and made anew. What somebody has attached since is no
longer half made: only its comment goes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, Final

from psycopg import sql

from upkeep.jobs.contract import Checkpoint
from upkeep.postgres import ddl, names
from upkeep.postgres.session import PostgresSession, Row

HALF_MADE: Final = "upkeep: half made"
"""How the comments start."""


def parents(markers: Iterable[Row]) -> dict[int, int]:
    """Return the parents for which something was left, and how many things; from ``server_state``."""
    found: dict[int, int] = {}
    for row in markers:
        parent = read(row["marker"]).get("parent")
        if parent is not None:
            found[parent] = found.get(parent, 0) + 1
    return found


def read(marker: str) -> dict[str, Any]:
    """Return what a comment of ours says; empty when it is none."""
    if not marker.startswith(HALF_MADE):
        return {}
    try:
        known = json.loads(marker.removeprefix(HALF_MADE))
    except ValueError:
        return {}
    return known if isinstance(known, dict) else {}


def clean(
    session: PostgresSession, parent: int, *, checkpoint: Checkpoint, sleep: Callable[[float], None]
) -> list[str]:
    """Remove what was left half made for a parent, in one transaction; return what it was.

    Raises `LockNotObtainedError`.
    """
    rows = [
        r
        for r in session.rows("partition_creation/leftovers", {"prefix": HALF_MADE})
        if read(r["marker"]).get("parent") == parent
    ]
    if not rows:
        return []
    # The trigger sits on the default partition, which the comment names: by object id, for it may be called otherwise
    # by now.
    defaults = {read(row["marker"])["default"] for row in rows}
    quiet = [
        sql.Identifier(row["schema"], row["name"])
        for oid in sorted(defaults)
        for row in session.rows("partition_creation/table_name", {"oid": oid})
    ]

    def body() -> None:
        for name in quiet:
            session.execute(
                session.statement(
                    "partition_creation/drop_trigger", trigger=sql.Identifier(_trigger(rows)), default=name
                )
            )
        # Only after the trigger: PostgreSQL drops no function that a trigger still calls.
        for row in sorted(rows, key=lambda r: read(r["marker"])["kind"]):  # constraint, log, partition
            _remove(session, row)

    ddl.attempt(session, body, checkpoint=checkpoint, sleep=sleep, quiet=quiet, what="removing what was left half made")
    return [names.display(row["schema"], row["constraint_name"] or row["name"]) for row in rows]


def _trigger(rows: Iterable[Row]) -> str:
    return next((read(r["marker"])["trigger"] for r in rows if "trigger" in read(r["marker"])), "zz_upkeep_move")


def _remove(session: PostgresSession, row: Row) -> None:
    name = sql.Identifier(row["schema"], row["name"])
    if not row["is_table"]:
        session.execute(session.statement("drop_constraint", table=name, name=sql.Identifier(row["constraint_name"])))
    elif row["attached"]:
        session.execute(session.statement("partition_creation/comment_on_table", table=name, text=sql.SQL("null")))
    else:
        session.execute(session.statement("drop_table", table=name))
        if read(row["marker"])["kind"] == "log":
            session.execute(session.statement("partition_creation/drop_function", function=name))
