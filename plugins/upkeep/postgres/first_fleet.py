"""A first fleet entry for an existing PostgreSQL database: what is there, and what could be declared of it.

Partitioned tables get the policy that continues what exists; other tables with a time column get a
retention rule that is commented out, because how long rows are needed is the owner's to say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

from upkeep.engines import Session
from upkeep.fleet.drafting import Draft, is_bookkeeping, likeliest, scalar, size, some, usual_length
from upkeep.postgres import bounds, names
from upkeep.postgres.session import PostgresSession, Row
from upkeep.words import counted

_TIMES: Final = ("timestamptz", "timestamp", "date")
_SELDOM: Final = 0.05
"""So small a share of updates is what a log has."""
_FEW_ROWS: Final = 1_000
_FEW_BYTES: Final = 2**20
"""Of so few rows that use so little, nothing is to be won: a list of names, settings, what a framework notes."""


def sections(session: Session) -> dict[str, list[str]]:
    """Return the lines of each section of a target, indented for it."""
    found = cast("PostgresSession", session).rows("introspect")
    found.sort(key=lambda row: (-row["bytes"], -row["rows"], row["schema"], row["name"]))
    return {"tables": list(_lines(found))}


def _lines(found: Sequence[Row]) -> Iterator[str]:
    yield from _unreadable(found)
    timed = [row for row in found if row["time_columns"] or row["strategy"]]
    draft = Draft()
    for row in timed:
        if _partition(row):
            draft.continued.append([*_table(row)])
        elif why := _kept(row):
            draft.kept.append(f"{_name(row)} ({_facts(row)}): {why}")
        else:
            draft.aged.append([*_table(row)])
    yield from draft.lines("tables with a time column")
    if len(found) > len(timed):
        yield f"      # {len(found) - len(timed)} tables have no time column: nothing here tells a row's age"


def _unreadable(found: Sequence[Row]) -> Iterator[str]:
    """Say of which schemas our role sees the catalog only: what is due there cannot be counted."""
    for schema, count in Counter(row["schema"] for row in found if not row["readable"]).items():
        place, role = names.quote(schema), names.quote(found[0]["role"])
        yield f"      # our role may not read {counted(count, 'table')} of schema {place}, and counts nothing there"
        yield f"      # → grant usage on schema {place} to {role};"
        yield f"      #   grant select on all tables in schema {place} to {role}"


def _kept(row: Row) -> str | None:
    """Return why the rows of a table with a time hardly go by their age; ``None``: they may."""
    if row["pointing"]:
        return f"foreign keys of {some(row['pointing'])} point at it; those first"
    if is_bookkeeping(row["name"]):
        return "a framework's own notes of what it changed"
    if not row["strategy"] and row["is_analysed"] and 0 < row["rows"] <= _FEW_ROWS and row["bytes"] <= _FEW_BYTES:
        return "so few that nothing is to be won"
    return None


def _name(row: Row) -> str:
    return names.display(row["schema"], row["name"])


def _table(row: Row) -> Iterator[str]:
    key = scalar(_name(row))
    yield f"# {_facts(row)}"
    policy = _partition(row)
    retain = _retain(row)
    if policy:
        yield f"{key}:"
        yield f"  {policy}"
        if retain:
            yield f"  # {retain}"
    else:
        yield from (f"# {line}" for line in _advice(row))
        if retain is None:
            yield f"# {key} has no time column: nothing here tells a row's age"
            return
        yield f"# {key}:"
        yield f"#   {retain}"


def _facts(row: Row) -> str:
    about = f"about {row['rows']:,} rows, {size(row['bytes'])}" if row["rows"] else "empty, or never analysed"
    if not row["strategy"]:
        grows = row["inserted"] and row["updated"] <= row["inserted"] * _SELDOM
        return f"{about}, hardly ever changed" if row["rows"] and grows else about
    kind = {"r": "range", "l": "list", "h": "hash"}[row["strategy"]]
    default = ", with a default partition" if row["has_default"] else ""
    return f"{about}; {kind} partitions: {len(row['bounds'])}{default}"


def _partition(row: Row) -> str | None:
    if row["strategy"] != "r" or row["key_type"] not in _TIMES:
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
    column = _age_column(row["time_columns"])
    length = "1 day" if column in _ends(row) else "90 days"
    return f"retain: {{by: {_column(column)}, for: {length}, then: delete, precision: row}}"


def _ends(row: Row) -> list[str]:
    """Return the columns whose values lay ahead: they say when a row ends."""
    return [str(column["name"]) for column in row["time_columns"] if column["ahead"]]


def _advice(row: Row) -> Iterator[str]:
    if row["strategy"]:
        yield _declared(row) or _undeclared(row)
    if not row["time_columns"]:
        return
    column = _age_column(row["time_columns"])
    if column in _ends(row):
        yield f"{column} lies ahead in some rows: it says when a row ends, and from then on it is due"
    known = next((c for c in row["time_columns"] if c["name"] == column), None)
    if known and known["type"] == "timestamp":
        yield f"{column} has no time zone and is read as UTC; where it is another's time, add timezone: to its rules"
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
    if row["strategy"] == "r" and row["key_type"] in _TIMES:
        known = f"partition: {{by: {_column(row['key_column'])}, every: 1 month, ahead: 3}}"
        return f"its partitions tell no usual length: {known} makes more, of the length that you say"
    return "partitioned in a way that partition_creation does not continue"


def _age_column(columns: Sequence[dict[str, Any]]) -> str:
    indexed = [str(column["name"]) for column in columns if column["indexed"]]
    past = [str(column["name"]) for column in columns if not column["ahead"]]
    return likeliest(past or [str(column["name"]) for column in columns], indexed) or "?"


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
