"""A first fleet entry for an existing TiDB database: its tables, the biggest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Final, cast
from zoneinfo import ZoneInfo

from upkeep.engines import Session
from upkeep.fleet.drafting import MOST, likeliest, scalar, usual_length
from upkeep.jobs.partition_creation.axis import HIGHEST, LOWEST, UnknownBoundsError
from upkeep.tidb import catalog, keys, names
from upkeep.tidb.catalog import Table
from upkeep.tidb.session import Row, TiDBSession

SECTION: Final = "tables"


def lines(session: Session) -> Iterator[str]:
    """Yield the lines below ``tables:`` for a target, indented for it."""
    tidb = cast("TiDBSession", session)
    rows = catalog.tables(tidb, [names.parse("*")])
    tables = sorted((Table(**row) for row in rows), key=lambda t: (-t.rows, -t.bytes, t.subject))
    partitions = catalog.of_tables(tidb, "partitions", rows, "p")
    columns = catalog.of_tables(tidb, "columns", rows, "c")
    indexes = catalog.of_tables(tidb, "indexes", rows, "s")
    said = [
        (table, list(_table(table, _of(table, partitions), _of(table, columns), _of(table, indexes))))
        for table in tables
    ]
    aged = [(table, text) for table, text in said if text]
    for _, text in aged[:MOST]:
        yield ""
        yield from (f"      {line}" for line in text)
    if len(aged) > MOST:
        yield f"      # … and {len(aged) - MOST} smaller tables with a time column"
    if len(tables) > len(aged):
        yield f"      # {len(tables) - len(aged)} tables have no time column: nothing here tells a row's age"


def _of(table: Table, rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if (row["schema"], row["table"]) == (table.schema, table.name)]


def _table(table: Table, parts: Sequence[Row], columns: Sequence[Row], indexes: Sequence[Row]) -> Iterator[str]:
    """Yield what is said of one table; nothing when no column tells a time."""
    times = [row["name"] for row in columns if row["base"] in keys.TIMES and not row["is_generated"]]
    leading = [row["column"] for row in indexes if row["place"] == 1]
    key = keys.read_key(parts[0]["method"], parts[0]["expression"]) if parts else None
    by = key.column if isinstance(key, keys.Key) else likeliest(times, leading)
    if by is None or (by not in times and not isinstance(key, keys.Key)):
        return
    about = f"about {table.rows:,} rows" if table.rows else "empty, or never analysed"
    kind = f"; {len(parts)} partitions" if parts else ""
    yield f"# {about}{kind}{f' ({key})' if isinstance(key, str) else ''}"
    name, column = scalar(table.subject), scalar(names.quote(by))
    every = _every(key, columns, parts) if isinstance(key, keys.Key) else None
    if every:
        yield f"{name}:"
        yield f"  partition: {{by: {column}, every: {every}, ahead: 3}}"
        yield f"  # retain: {{by: {column}, for: 90 days, then: delete}}"
        return
    if by not in times:
        yield f"# {_by(by, columns)} ({table.subject})"
        return
    if by not in leading:
        yield f"# no index leads with {by}: its rows are found by reading the whole table"
    yield f"# {name}:"
    yield f"#   retain: {{by: {column}, for: 90 days, then: delete, precision: row}}"


def _by(column: str, columns: Sequence[Row]) -> str:
    type_ = next((row["base"] for row in columns if names.same(row["name"], column)), "?")
    if type_ in keys.WHOLE_NUMBERS:
        return f"partitioned by the whole number {column}: partition_creation needs to know what it counts (unit)"
    return f"partitioned by {column}, a {type_}: its partitions are not continued"


def _every(key: keys.Key, columns: Sequence[Row], parts: Sequence[Row]) -> str | None:
    """Return the length that most of the partitions have."""
    type_ = next((row["base"] for row in columns if names.same(row["name"], key.column)), "")
    if type_ not in keys.TIMES:
        return None
    scale = keys.scale(key, type_, ZoneInfo("UTC"), None)
    bounds = []
    for row in parts:
        try:
            bounds.append(scale.read(row["upper_bound"]))
        except UnknownBoundsError:
            continue
    finite = [bound for bound in bounds if LOWEST < bound < HIGHEST]
    return usual_length(timedelta(microseconds=upper - lower) for lower, upper in pairwise(finite))
