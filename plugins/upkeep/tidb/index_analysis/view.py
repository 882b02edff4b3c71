"""TiDB's indexes as all engines have them. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from upkeep.fleet import Target
from upkeep.fleet.policies.indexes import IndexesPolicy
from upkeep.jobs.index_analysis import advice
from upkeep.jobs.index_analysis.indexes import Index
from upkeep.model import Observation
from upkeep.tidb import names
from upkeep.tidb.session import Row

_BESIDES: Final = ("is_global", "predicate")
"""What the newer releases say of an index as a whole."""


def of(observation: Observation, target: Target) -> list[Index]:
    """Return the indexes of an observation."""
    return indexes(observation.frames, target, replica=observation.server.replica)


def indexes(frames: Mapping[str, list[Row]], target: Target | None = None, *, replica: bool = False) -> list[Index]:
    """Return the indexes that the frames tell of; without a target nobody's word keeps any of them."""
    policy = (IndexesPolicy.of(target) if target is not None else None) or IndexesPolicy()
    tied = _tied(frames["foreign_keys"])
    tables = {(row["schema"].lower(), row["name"].lower()): row for row in frames["tables"]}
    found = []
    for (schema, table, _), rows in groupby(frames["indexes"], key=_of):
        known = tables.get((schema.lower(), table.lower()))
        if known is not None:
            found.append(_index(list(rows), known, policy, tied, replica=replica))
    return found


def subject_of(schema: str, table: str, name: str) -> str:
    """Return an index's name as people read it."""
    return f"{names.display(schema, table)}.{names.quote(name)}"


def _of(row: Row) -> tuple[str, str, str]:
    return row["table_schema"], row["table_name"], row["key_name"]


def _tied(rows: Iterable[Row]) -> set[tuple[str, str, tuple[str, ...]]]:
    """Return the columns of tables, in order, that foreign keys are on or refer to."""
    found: set[tuple[str, str, tuple[str, ...]]] = set()
    for _, group in groupby(rows, key=lambda row: (row["schema"], row["table"], row["name"])):
        parts = list(group)
        first = parts[0]
        found.add((first["schema"].lower(), first["table"].lower(), tuple(p["column"].lower() for p in parts)))
        referenced = tuple(p["referenced_column"].lower() for p in parts)
        found.add((first["referenced_schema"].lower(), first["referenced_table"].lower(), referenced))
    return found


def _index(
    rows: Sequence[Row],
    table: Row,
    policy: IndexesPolicy,
    tied: set[tuple[str, str, tuple[str, ...]]],
    *,
    replica: bool,
) -> Index:
    first = rows[0]
    schema, name = first["table_schema"], first["key_name"]
    subject = subject_of(schema, table["name"], name)
    columns = tuple((row["column_name"] or "").lower() for row in rows)
    where = (schema.lower(), table["name"].lower())
    besides = {key: first.get(key) for key in _BESIDES}
    expression = any(row["expression"] is not None for row in rows)
    bound = ""
    if name == "PRIMARY" or first["clustered"] == "YES":
        bound = "it is the primary key"
    elif not int(first["non_unique"]):
        bound = "it keeps values unique"
    elif any((*where, columns[:length]) in tied for length in range(1, len(columns) + 1)):
        bound = "a foreign key needs it"
    elif expression:
        bound = "the optimizer keeps statistics for its expression"
    keys = tuple(json.dumps([c, row["sub_part"], row["expression"]]) for c, row in zip(columns, rows, strict=True))
    unique = not int(first["non_unique"])
    return Index(
        subject=subject,
        table=names.display(schema, table["name"]),
        age=int(first["index_id"]),
        shape=json.dumps([keys, unique, besides], sort_keys=True, default=str),
        keys=keys,
        rest=json.dumps(besides, sort_keys=True, default=str),
        unique=unique,
        bound=bound or advice.kept(policy, subject),
        hinders="the server takes no writes" if replica else "",
        hidden=first["is_visible"] == "NO",
        prefixes=not expression,
        row=_row(rows, table),
    )


def _row(rows: Sequence[Row], table: Row) -> dict[str, Any]:
    first = rows[0]
    return {
        "schema": first["table_schema"],
        "table": table["name"],
        "table_id": table["id"],
        "name": first["key_name"],
        "rows": table["rows"],
        "definition": _definition(rows),
    }


def _definition(rows: Sequence[Row]) -> str:
    """Return the index as CREATE TABLE writes it."""
    parts = [_part(row) for row in rows]
    unique = "" if int(rows[0]["non_unique"]) else "unique "
    return f"{unique}key {_quoted(rows[0]['key_name'])} ({', '.join(parts)})"


def _part(row: Row) -> str:
    if row["expression"] is not None:
        return f"({row['expression']})"
    return _quoted(row["column_name"]) + (f"({row['sub_part']})" if row["sub_part"] is not None else "")


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
