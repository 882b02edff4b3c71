"""The columns that a plan was made for: a batch that moves rows is rolled back when the tables have others by now.

A plan may wait a day for its approval, and a sweep may take hours. A column that is added, or made wider, in
between would go with the deleted row and never arrive in the archive.
"""

from __future__ import annotations

from collections.abc import Iterable

from upkeep.jobs.errors import StateChangedError
from upkeep.model import Json
from upkeep.postgres.data_retention.args import Filing, Moving, Shape, Shapes
from upkeep.postgres.data_retention.doomed import Doomed
from upkeep.postgres.session import PostgresSession


def shapes(columns: Iterable[Json], archive: Iterable[Json] = ()) -> Shapes:
    """Return name → type of the table's columns, and of the archive table's."""
    return Shapes(_shape(columns), _shape(archive))


def require_shape(session: PostgresSession, args: Moving | Filing, doomed: Doomed) -> None:
    """Compare the columns that there are now with the plan's; to be called when the batch holds its locks.

    Raises
    ------
    StateChangedError
        They differ; the batch is to be rolled back, and the next run plans anew.
    """
    wanted = {doomed.oid: (doomed.name, args.shape.table)}
    if isinstance(args, Moving):
        wanted[args.archive.oid] = (args.archive.name, args.shape.archive)
    rows = {row["oid"]: row for row in session.rows("data_retention/shape", {"oids": list(wanted)})}
    for oid, (name, planned) in wanted.items():
        row = rows.get(oid)
        now = dict(zip(row["names"], row["types"], strict=True)) if row is not None else {}
        if now != planned:
            changed = sorted(c for c in {*now, *planned} if now.get(c) != planned.get(c))
            raise StateChangedError(
                f"columns of {name} are not those of the plan any more ({', '.join(changed)}): nothing of this batch "
                "was moved; the next run plans anew"
            )


def _shape(columns: Iterable[Json]) -> Shape:
    return {column["name"]: column["type"] for column in columns}
