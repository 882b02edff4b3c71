"""A first fleet entry for an existing TiDB database: its tables, the biggest first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Final, cast
from zoneinfo import ZoneInfo

import pymysql

from upkeep.engines import Session
from upkeep.fleet.drafting import MOST, Draft, is_bookkeeping, likeliest, scalar, size, some, usual_length
from upkeep.jobs.partition_creation.axis import HIGHEST, LOWEST, UnknownBoundsError
from upkeep.tidb import catalog, ddl, keys, names, ttl
from upkeep.tidb.catalog import Table
from upkeep.tidb.session import Row, TiDBSession

_FEW: Final = 1_000
"""Of so few rows nothing is to be won: a list of names, settings, what a framework notes."""


def sections(session: Session) -> dict[str, list[str]]:
    """Return the lines of each section of a target, indented for it."""
    return {"tables": list(_lines(cast("TiDBSession", session)))}


def _lines(tidb: TiDBSession) -> Iterator[str]:
    rows = catalog.tables(tidb, [names.parse("*")])
    tables = sorted((Table(**row) for row in rows), key=lambda t: (-t.bytes, -t.rows, t.subject))
    parts, columns, indexes = (
        _by_table(catalog.of_tables(tidb, name, rows, alias))
        for name, alias in (("partitions", "p"), ("columns", "c"), ("indexes", "s"))
    )
    pointing = _by_table(
        tidb.rows("pointing", {"schemas": sorted({t.schema.lower() for t in tables})}) if tables else []
    )
    draft, aged, without = Draft(), [], 0
    for table in tables:
        key = (table.schema.lower(), table.name.lower())
        said = list(_table(table, parts[key], columns[key], indexes[key]))
        why = None if parts[key] else _kept(table, pointing[key])
        if not said:
            without += 1
        elif any(not line.startswith("#") for line in said):
            draft.continued.append(said)
        elif why:
            draft.kept.append(f"{table.subject} ({_about(table)}): {why}")
        else:
            aged.append((table, said))
    for place, (table, said) in enumerate(aged):
        expires = _expiring(tidb, table) if place < MOST else []
        (draft.continued if expires else draft.aged).append(expires or said)
    yield from draft.lines("tables with a time column")
    if without:
        yield f"      # {without} tables have no time column: nothing here tells a row's age"


def _expiring(tidb: TiDBSession, table: Table) -> list[str]:
    """Return what is declared of a table from which the server itself removes rows; nothing of others."""
    try:
        found = ttl.read(ddl.show_create(tidb, table.schema, table.name))
    except pymysql.MySQLError:  # gone meanwhile, or not ours to see
        return []
    if found is None or found.length is None:
        return []
    off = "" if found.enabled else ", switched off"
    rule = f"ttl: {{by: {scalar(names.quote(found.column))}, after: {found.length}}}"
    about = f"# {_about(table)}; the server removes its rows itself, {found.text} after {found.column}{off}"
    return [about, f"{scalar(table.subject)}:", f"  {rule}"]


def _by_table(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    """Return rows of the catalog by the table that they are of."""
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        found[row["schema"].lower(), row["table"].lower()].append(row)
    return found


def _kept(table: Table, pointing: Sequence[Row]) -> str | None:
    """Return why the rows of a table with a time hardly go by their age; ``None``: they may."""
    if pointing:
        few = some([names.display(row["pointing_schema"], row["pointing"]) for row in pointing])
        return f"foreign keys of {few} point at it; those first"
    if is_bookkeeping(table.name):
        return "a framework's own notes of what it changed"
    return "so few that nothing is to be won" if 0 < table.rows <= _FEW else None


def _about(table: Table) -> str:
    return f"about {table.rows:,} rows, {size(table.bytes)}" if table.rows else "empty, or never analysed"


def _table(table: Table, parts: Sequence[Row], columns: Sequence[Row], indexes: Sequence[Row]) -> Iterator[str]:
    """Yield what is said of one table; nothing when no column tells a time."""
    times = [row["name"] for row in columns if row["base"] in keys.TIMES and not row["is_generated"]]
    leading = [row["column"] for row in indexes if row["place"] == 1]
    key = keys.read_key(parts[0]["method"], parts[0]["expression"]) if parts else None
    by = key.column if isinstance(key, keys.Key) else likeliest(times, leading)
    if by is None or (by not in times and not isinstance(key, keys.Key)):
        return
    kind = f"; {len(parts)} partitions" if parts else ""
    yield f"# {_about(table)}{kind}{f' ({key})' if isinstance(key, str) else ''}"
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
