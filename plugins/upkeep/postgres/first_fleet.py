"""A first fleet entry for an existing PostgreSQL database: what is there, and what could be declared of it.

Partitioned tables get the policy that continues what exists; other tables with a time column get a
retention rule that is commented out, because how long rows are needed is the owner's to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

from upkeep.engines import Session
from upkeep.fleet.drafting import MOST, likeliest, scalar, usual_length
from upkeep.postgres import bounds, names
from upkeep.postgres.session import PostgresSession, Row

SECTION: Final = "tables"


def lines(session: Session) -> Iterator[str]:
    """Yield the lines below ``tables:`` for a target, indented for it."""
    found = cast("PostgresSession", session).rows("introspect")
    timed = [row for row in found if row["time_columns"] or row["strategy"]]
    for row in timed[:MOST]:
        yield from _table(row)
    left_out = len(timed) - MOST
    if left_out > 0:
        yield f"      # … and {left_out} smaller tables with a time column"
    if len(found) > len(timed):
        yield f"      # {len(found) - len(timed)} tables have no time column: nothing here tells a row's age"


def _table(row: Row) -> Iterator[str]:
    key = scalar(names.display(row["schema"], row["name"]))
    yield ""
    yield f"      # {_facts(row)}"
    policy = _partition(row)
    retain = _retain(row)
    if policy:
        yield f"      {key}:"
        yield f"        {policy}"
        if retain:
            yield f"        # {retain}"
    else:
        yield from (f"      # {line}" for line in _advice(row))
        if retain is None:
            yield f"      # {key} has no time column: nothing here tells a row's age"
            return
        yield f"      # {key}:"
        yield f"      #   {retain}"


def _facts(row: Row) -> str:
    size = row["bytes"] / 2**20
    about = f"about {row['rows']:,} rows, {size:,.0f} MiB" if row["rows"] else "empty, or never analysed"
    if not row["strategy"]:
        return about
    kind = {"r": "range", "l": "list", "h": "hash"}[row["strategy"]]
    default = ", with a default partition" if row["has_default"] else ""
    return f"{about}; {kind} partitions: {len(row['bounds'])}{default}"


def _partition(row: Row) -> str | None:
    if row["strategy"] != "r" or row["key_type"] not in ("timestamptz", "timestamp", "date"):
        return None
    every = usual_length(_widths(row["key_type"], row["bounds"]))
    return f"partition: {{by: {_column(row['key_column'])}, every: {every}, ahead: 3}}" if every else None


def _retain(row: Row) -> str | None:
    """Return a rule for the rows' age: by whole partitions where their key tells it, else row by row."""
    times = [column["name"] for column in row["time_columns"]]
    if row["strategy"] == "r" and row["key_column"] in times:
        return f"retain: {{by: {_column(row['key_column'])}, for: 90 days, then: delete}}"
    if not times:
        return None
    return f"retain: {{by: {_column(_age_column(row['time_columns']))}, for: 90 days, then: delete, precision: row}}"


def _advice(row: Row) -> Iterator[str]:
    if row["strategy"]:
        yield _declared(row) or _undeclared(row)
    if not row["time_columns"]:
        return
    column = _age_column(row["time_columns"])
    known = next((c for c in row["time_columns"] if c["name"] == column), None)
    if known and not known["indexed"]:
        subject = names.display(row["schema"], row["name"])
        yield f"no index leads with {column}; first: create index concurrently on {subject} ({names.quote(column)})"


def _declared(row: Row) -> str | None:
    """Return how list and hash partitions are declared."""
    if row["strategy"] == "l" and row["key_column"]:
        known = f"partition: {{by: {_column(row['key_column'])}, list: {{label: [value, …], …}}}}"
        return f"{known} creates the partitions of values that have none"
    moduli = {bounds.remainder(text)[0] for text in row["bounds"]} if row["strategy"] == "h" else set()
    if row["strategy"] == "h" and row["key_column"] and len(moduli) <= 1:
        known = f"partition: {{by: {_column(row['key_column'])}, modulus: {moduli.pop() if moduli else 4}}}"
        return f"{known} creates the remainders that have none"
    return None


def _undeclared(row: Row) -> str:
    """Return why no partitions are declared: they are continued where one column tells their bounds."""
    if not row["key_column"]:
        return "partitioned by an expression or by several columns: partition_creation needs one column"
    if row["strategy"] == "r" and row["key_type"] in bounds.LAST:
        return f"partitioned by the whole number {row['key_column']}: partition_creation needs to know its unit"
    return "partitioned in a way that partition_creation does not continue"


def _age_column(columns: Sequence[dict[str, Any]]) -> str:
    indexed = [str(column["name"]) for column in columns if column["indexed"]]
    return likeliest([str(column["name"]) for column in columns], indexed) or "?"


def _column(name: str) -> str:
    return scalar(names.quote(name))


def _widths(key_type: str, children: Sequence[str]) -> Iterator[timedelta]:
    axis = bounds.Axis(key_type, ZoneInfo("UTC"))
    for text in children:
        if text == "DEFAULT":
            continue
        try:
            lower, upper = bounds.read(text, axis)
        except bounds.UnknownBoundsError:
            continue
        if lower != bounds.LOWEST and upper != bounds.HIGHEST:
            yield timedelta(microseconds=upper - lower)
