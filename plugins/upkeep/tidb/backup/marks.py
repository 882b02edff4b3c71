"""Marks of a restored database: what may only go with a backup, by hours of its age, by partition, or as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from upkeep.engines import Address
from upkeep.fleet import TablePolicy, Target
from upkeep.jobs.backup.copier import Bench
from upkeep.jobs.backup.manifest import Manifest
from upkeep.jobs.backup.marks import Mark, Marks, reach
from upkeep.jobs.data_retention.cutoff import age_axis, cut_off
from upkeep.jobs.data_retention.marker import read_marker
from upkeep.jobs.partition_creation.axis import Axis
from upkeep.model import Json
from upkeep.tidb import catalog, keys, marking, names, sql
from upkeep.tidb.ages import age_text, aged
from upkeep.tidb.catalog import Table
from upkeep.tidb.names import Name
from upkeep.tidb.session import TiDBSession
from upkeep.tidb.sql import Sql

_UNITS: Final = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000}
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
Ranges = list[tuple[str, str, str]]


def marks(address: Address, manifest: Manifest, target: Target, bench: Bench) -> Marks:
    """Return the marks of the tables whose policy requires a backup, and of the detached partitions."""
    session = TiDBSession.connect(address, application="upkeep verify")
    try:
        return dict(_marks(session, manifest, target, bench))
    finally:
        session.close()


def _marks(session: TiDBSession, manifest: Manifest, target: Target, bench: Bench) -> Iterator[tuple[str, Json]]:
    declared = {name: policy for name, policy in target.subjects().items() if policy.retain is not None}
    if all(reach(policy.retain) is None for policy in declared.values()):
        return
    every = names.parse("*")
    tables = [Table(**row) for row in catalog.tables(session, [every])]
    patterns = {name: names.parse(name) for name in declared}
    for name, found in catalog.by_policy(tables, patterns, session.database).items():
        for table in found:
            if reach(declared[name].retain) is not None:
                bench.checkpoint()
                yield table.subject, _of_table(session, table, declared[name], manifest.snapshot_at)
    for table in tables:
        if read_marker(table.comment) is not None:
            bench.checkpoint()
            whole = marking.columns(session, Name(table.schema, table.name))
            yield table.subject, _as_whole({"whole": marking.mark(session, whole, table.identifier)})


def _of_table(session: TiDBSession, table: Table, policy: TablePolicy, at: datetime) -> Json:
    whole = marking.columns(session, Name(table.schema, table.name))
    here = {"schema": table.schema, "name": table.name}
    partitions = [row["name"] for row in catalog.of_tables(session, "partitions", [here], "p")]
    retain = policy.retain
    assert retain is not None  # noqa: S101 - it requires a backup
    if partitions and retain.precision == "partition":
        sources = {
            name: sql.fill("{t} partition ({p})", t=table.identifier, p=sql.identifier(name)) for name in partitions
        }
        return {"partitions": _as_whole({n: marking.mark(session, whole, source) for n, source in sources.items()})}
    ranges = _ranges(session, table, policy, at, whole)
    return {} if ranges is None else {"ranges": ranges}


def _as_whole(found: dict[str, Mark]) -> Json:
    return {name: str(mark) for name, mark in found.items() if mark.first != marking.UNREAD}


def _ranges(session: TiDBSession, table: Table, policy: TablePolicy, at: datetime, whole: Sql) -> Ranges | None:
    """Return each hour of rows that may become due while the backup counts, with what they amount to."""
    here = {"schema": table.schema, "name": table.name}
    age, ahead = names.column(policy.age_column or ""), reach(policy.retain)
    column = next((c for c in catalog.of_tables(session, "columns", [here], "c") if names.same(c["name"], age)), None)
    if column is None or ahead is None or policy.retain is None:
        return None
    axis = age_axis(policy, keys.TIMES.get(column["base"].lower(), "int8"))
    if axis.type == "int8" and axis.unit not in _UNITS:
        return None
    until = age_text(axis, cut_off(policy.retain, axis, at + ahead, at + ahead))
    place = sql.identifier(table.schema, table.name, age)
    parts = {"columns": whole, "source": table.identifier, "predicate": aged(place, axis.type, until)}
    found = marking.by_label(session, _label(place, axis), **parts)
    return [(*_ends(label, axis), str(mark)) for label, mark in sorted(found.items()) if mark.first != marking.UNREAD]


def _label(age: Sql, axis: Axis) -> Sql:
    if axis.type == "int8":
        return sql.fill("{a} div %(width)s * %(width)s", {"width": _width(axis)}, a=age)
    form = "%Y-%m-%d" if axis.type == "date" else "%Y-%m-%d %H:00:00"
    return sql.fill("date_format({a}, %(form)s)", {"form": form}, a=age)


def _ends(label: str, axis: Axis) -> tuple[str, str]:
    if axis.type == "int8":
        return label, str(int(label) + _width(axis))
    begin: Any = datetime.fromisoformat(label)
    if axis.type == "date":
        return label, (begin + _DAY).date().isoformat()
    return label, (begin + _HOUR).isoformat(sep=" ")


def _width(axis: Axis) -> int:
    return 3600 * _UNITS[axis.unit or "seconds"]
