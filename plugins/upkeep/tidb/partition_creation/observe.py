"""What partition creation reads: the catalog in a few queries for the whole target, rows only where that is needed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Final

import pymysql

from upkeep.jobs.contract import Ask
from upkeep.jobs.partition_creation import limits
from upkeep.model import Observation
from upkeep.tidb import catalog, create_text, ddl, faults, names, server, sql
from upkeep.tidb.partition_creation.care import Care, Lookup, complete, seen, with_divided
from upkeep.tidb.session import Row, TiDBSession

LOOK_BACK: Final = 50
"""Partitions of ids that are looked into, from the newest, for the highest id."""


def observe(ask: Ask[TiDBSession]) -> Observation:
    """Read the catalog in a few queries; count only where something is missing."""
    session, target, at = ask.session, ask.target, ask.at
    patterns = [names.parse(key) for key, policy in target.subjects().items() if policy.partition is not None]
    tables = catalog.tables(session, patterns)
    frames: dict[str, list[Row]] = {"server": [server.observe(session)], "tables": tables}
    frames["no_tables"] = catalog.no_tables(session, patterns, tables)
    frames["partitions"] = catalog.of_tables(session, "partitions", tables, "p")
    frames["columns"] = catalog.of_tables(session, "columns", tables, "c")
    frames["temporary"] = list(_temporary(session, tables, frames["partitions"]))
    frames["jobs"] = ddl.jobs(session)
    # frames that are filled below: what `seen` finds decides which rows are looked at, and `complete` reads both
    lookup = Lookup.of(frames, target, at)
    found = seen(lookup)
    if ids := list(_ids(session, found)):
        frames["ids"] = ids
    frames["numbers"] = list(_numbers(session, found))
    found = [complete(care, lookup) for care in found]  # it looks into the frames, which have both by now
    frames["maxvalue"] = [_divided(session, care) for care, _ in with_divided(found)]
    return ask.answer(frames)


def _temporary(session: TiDBSession, tables: Iterable[Row], partitions: Iterable[Row]) -> Iterator[Row]:
    """Yield which tables without partitions are temporary ones; only their definition tells."""
    partitioned = {(row["schema"], row["table"]) for row in partitions}
    for row in tables:
        if (row["schema"], row["name"]) in partitioned:
            continue
        with contextlib.suppress(pymysql.MySQLError):  # gone meanwhile
            if create_text.is_temporary(ddl.show_create(session, row["schema"], row["name"])):
                yield {"id": row["id"]}


def _ids(session: TiDBSession, found: Iterable[Care]) -> Iterator[Row]:
    """Yield where each table of plain ids stands: the highest id in its newest partitions."""
    for care in found:
        if care.scale is None or not care.scale.axis.is_id or care.table is None:
            continue
        newest = [p.name for _, p in care.partitions[-LOOK_BACK:]]
        newest += [care.maxvalue.name] if care.maxvalue is not None else []
        row: Row = {"id": care.table.id, "at": None}
        for name in reversed(newest):
            parts = {"table": care.table.identifier, "partition": sql.identifier(name)}
            try:
                highest = session.rows(
                    "partition_creation/max_key", key=sql.identifier(care.scale.key.column), **parts
                )[0]["highest"]
            # too slow, or not allowed: said as unknown, for ids that seem lower than they are would make too few
            # partitions
            except pymysql.MySQLError as error:
                row["unknown"] = faults.describe(error)
                break
            if highest is not None:
                row["at"] = int(highest)
                break
        yield row


def _numbers(session: TiDBSession, found: Iterable[Care]) -> Iterator[Row]:
    """Yield some numbers of each key whose bounds do not tell whether they are times in the unit declared."""
    for care in found:
        if care.table is None or care.scale is None or care.problem is not None:
            continue
        if limits.counts_time(care.scale.axis) and not limits.told_by(span for span, _ in care.partitions):
            numbers = server.sample(session, care.table.identifier, care.scale.key.column)
            yield {"id": care.table.id, "numbers": numbers}


def _divided(session: TiDBSession, care: Care) -> Row:
    """Count the rows of the partition that is to be divided, and those where partitions are missing."""
    table, last, scale = care.table, care.divided, care.scale
    assert table is not None and last is not None and scale is not None  # noqa: S101, PT018 - as with_divided says
    source = sql.fill("{t} partition ({p})", t=table.identifier, p=sql.identifier(last.name))
    most = care.policy.move_default_rows + 1
    rows = server.count(session, source, sql.Sql("true"), most)
    inside: int | None = 0
    if rows and care.new_bounds and care.maxvalue is not None:
        below = sql.fill("{k} < {b}", k=scale.key.expression, b=scale.bound(care.new_bounds[-1]))
        inside = server.count(session, source, below, most)
    return {"id": table.id, "rows": rows, "inside": inside}
