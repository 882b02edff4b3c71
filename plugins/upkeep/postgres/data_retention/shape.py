"""The columns that a plan was made for: a batch that moves rows is rolled back when the tables have others by now.

A plan may wait a day for its approval, and a sweep may take hours. A column that is added, or made wider, in
between would go with the deleted row and never arrive in the archive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from upkeep.jobs.errors import StateChangedError
from upkeep.model import Json
from upkeep.postgres.data_retention.doomed import Doomed
from upkeep.postgres.session import PostgresSession


def shape_args(columns: Iterable[Json], archive: Iterable[Json] = ()) -> Json:
    """Return what an action must say: name → type of the table's columns, and of the archive table's."""
    return {"shape": {"table": _shape(columns), "archive": _shape(archive)}}


def require_shape(session: PostgresSession, args: Json, doomed: Doomed) -> None:
    """Compare the columns that there are now with the plan's; to be called when the batch holds its locks.

    Raises
    ------
    StateChangedError
        They differ; the batch is to be rolled back, and the next run plans anew.
    """
    wanted: dict[int, tuple[str, Mapping[str, str]]] = {}
    shape = args.get("shape") or {"table": {}, "archive": {}}
    wanted[doomed.oid] = (doomed.name, shape["table"])
    if "archive" in args:
        wanted[args["archive"]["oid"]] = (args["archive"]["name"], shape["archive"])
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


def _shape(columns: Iterable[Json]) -> dict[str, str]:
    return {column["name"]: column["type"] for column in columns}
