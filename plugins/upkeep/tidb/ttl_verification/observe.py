"""What is read: the catalog, TTL options and jobs, and how many rows are overdue. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pymysql

from upkeep.fleet import TablePolicy, Target
from upkeep.jobs.contract import Ask
from upkeep.jobs.data_retention.cutoff import age_axis, cut_off
from upkeep.jobs.data_retention.marker import read_marker
from upkeep.jobs.partition_creation.axis import HIGHEST, Axis, UnknownBoundsError, Value
from upkeep.jobs.ttl_verification import retention
from upkeep.jobs.ttl_verification.overdue import OVERDUE, SHOWN, STALLED, earlier, identified
from upkeep.model import Json, Observation
from upkeep.tidb import catalog, create_text, ddl, faults, keys, names, server, ttl
from upkeep.tidb.catalog import Partition, Table
from upkeep.tidb.session import Row, TiDBSession
from upkeep.tidb.ttl_verification import jobs, tables

KEYS = ("ttl", "retain")


@dataclass(frozen=True, slots=True)
class _Meant:
    """A table that a policy means, with what the catalog says of it."""

    table: Table
    policy: TablePolicy
    columns: Mapping[str, Row]
    indexes: Sequence[Row]
    partitions: Sequence[Partition]


def observe(ask: Ask[TiDBSession]) -> Observation:
    """Read what is judged."""
    session, target = ask.session, ask.target
    frames: dict[str, list[dict[str, Any]]] = {
        "server": [{"database": session.database, "now": ask.server.clock.isoformat()}],
        "switch": session.rows("ttl_verification/switch"),
        "earlier": earlier(ask.memory.looks, {OVERDUE, STALLED}),
        "endings": [dict(row) for row in ask.memory.endings],
        "absent": [],
        "tables": [],
    }
    meant = list(_in_care(session, target, frames["absent"]))
    ids = [one for m in meant if m.policy.ttl is not None for one in _ids(m)]
    finished, running = _jobs(session, ids)
    tolerance = retention.tolerance(ask.job, ask.memory.endings)
    for one in meant:
        row: Row = {"subject": one.table.subject, "overdue": None, "why": "", "ids": [], "tolerance": tolerance}
        row |= {"what": "rows", "lately": [], "sampled": None, "denied": False}
        counted = (
            _expiring(ask, one, frames["switch"][0], finished, running)
            if one.policy.ttl is not None
            else _retained(ask, one, tolerance)
        )
        frames["tables"].append(row | counted)
    return ask.answer(frames)


def _in_care(session: TiDBSession, target: Target, absent: list[Row]) -> Iterator[_Meant]:
    policies = {name: policy for name, policy in target.tables.items() if policy.declares(KEYS)}
    patterns = {name: names.parse(name) for name in policies}
    rows = [r for r in catalog.tables(session, patterns.values()) if read_marker(r["comment"]) is None]
    columns = catalog.of_tables(session, "columns", rows, "c")
    indexes = catalog.of_tables(session, "indexes", rows, "s")
    partitions = catalog.of_tables(session, "partitions", rows, "p")
    into = [names.parse(p.retain.into) for p in policies.values() if p.retain is not None and p.retain.into]

    def own(found: Sequence[Row], table: Table) -> list[Row]:
        return [row for row in found if (row["schema"], row["table"]) == (table.schema, table.name)]

    for name, found in catalog.by_policy([Table(**row) for row in rows], patterns, session.database).items():
        if patterns[name].is_glob:  # an archive is only meant by its name in full
            found = [t for t in found if not any(a.matches(t.schema, t.name, session.database) for a in into)]  # noqa: PLW2901
        elif not found:
            absent.append({"name": name})
        for table in found:
            own_columns = {row["name"].lower(): row for row in own(columns, table)}
            parts = [Partition(**row) for row in own(partitions, table)]
            yield _Meant(table, policies[name], own_columns, own(indexes, table), parts)


# -- TTL ---------------------------------------------------------------------------------------------


def _ids(one: _Meant) -> list[int]:
    """Return the ids of a table's data: TTL jobs run on each partition."""
    return [p.id for p in one.partitions] or [one.table.id]


def _jobs(session: TiDBSession, ids: Sequence[int]) -> tuple[list[Row] | None, list[Row]]:
    """Return the TTL jobs that have finished, and those that run; ``None``: our user may not see them."""
    if not ids:
        return [], []
    try:
        parameters = {"ids": list(ids)}
        return (
            session.rows("ttl_verification/finished", parameters),
            session.rows("ttl_verification/running", parameters),
        )
    except pymysql.MySQLError as error:
        if faults.code(error) in faults.PRIVILEGE:
            return None, []
        raise


def _expiring(
    ask: Ask[TiDBSession], one: _Meant, switch: Row, finished: Sequence[Row] | None, running: Sequence[Row]
) -> Row:
    """Return a table's TTL, what its jobs have promised, and what is there all the same."""
    session, now = ask.session, ask.server.clock
    options = create_text.take_apart(ddl.show_create(session, one.table.schema, one.table.name)).options
    known = ttl.read(options)
    row: Row = {"ttl": None, "jobs": None}
    if known is None:
        return row | {"why": "it has no TTL"}
    every = ttl.job_interval(options)
    row["ttl"] = {"column": known.column, "text": known.text, "enabled": known.enabled, "every": every}
    if finished is None:
        return row | {"why": "our user may not see TiDB's TTL jobs", "denied": True}
    wait = jobs.patience(every, switch)
    promise = jobs.promise(_ids(one), finished, running, now, wait)
    row["jobs"] = {
        "finished": promise.finished.isoformat() if promise.finished is not None else None,
        "silent": promise.silent,
        "patience": wait.total_seconds(),
    }
    if promise.bound is None or promise.since is None:
        return row | {"why": "not two of its TTL jobs have finished yet: the next look tells"}
    column = one.columns.get(known.column.lower())
    wall = column is None or column["base"].lower() != "timestamp"
    bound = jobs.wall_clock(promise.bound, switch["zone"]) if wall else promise.bound.replace(tzinfo=None)
    predicate = tables.before(known.column, bound.isoformat(sep=" "), dates=wall)
    counted = tables.overdue(session, one.table, one.indexes, known.column, predicate)
    return row | {"tolerance": (now - promise.since).total_seconds()} | counted


# -- retention ---------------------------------------------------------------------------------------


def _retained(ask: Ask[TiDBSession], one: _Meant, tolerance: float) -> Row:
    """Return what retention should have removed: whole partitions by their bounds, rows by the age column."""
    retain, age = one.policy.retain, names.column(one.policy.age_column or "")
    assert retain is not None  # noqa: S101 - as `observe` chose it
    column = one.columns.get(age.lower())
    if column is None:
        return {"why": f"it has no column {age}"}
    base = column["base"].lower()
    axis = age_axis(one.policy, keys.TIMES.get(base, "int8"))
    whole = base in keys.WHOLE_NUMBERS
    if base not in keys.TIMES and not whole:
        return {"why": f"its age column {age} is {base}, no time"}
    if whole and axis.unit not in ("seconds", "milliseconds", "microseconds"):
        return {"why": f"its age column {age} is a whole number, and nothing says what it counts"}
    instant = ask.server.clock - timedelta(seconds=tolerance)
    bound = cut_off(retain, axis, instant, instant)
    if one.partitions and retain.precision == "partition":
        return _partitions(one, axis, column, bound)
    numbers = server.sample(ask.session, one.table.identifier, age) if whole else ()
    wrong = axis.implausible(axis.read(str(number)) for number in numbers)
    if wrong is not None:
        return {"why": wrong}
    text = replace(axis, zone=ZoneInfo("UTC")).write(bound).removesuffix("+00:00")
    predicate = tables.before(age, int(text) if whole else text, dates=axis.is_wall)
    return tables.overdue(ask.session, one.table, one.indexes, age, predicate)


def _partitions(one: _Meant, axis: Axis, column: Mapping[str, Any], bound: Value) -> Json:
    """Return the partitions that should be gone; the lowest is only emptied, and the last one stays."""
    key = keys.read_key(one.partitions[0].method, one.partitions[0].expression)
    if isinstance(key, str) or not names.same(key.column, str(column["name"])):
        return {"why": "its partitions do not tell the age; write precision: row", "what": "partitions"}
    unsigned = "unsigned" in str(column["type"]).lower()
    scale = keys.scale(key, str(column["base"]).lower(), axis.zone, axis.unit, unsigned=unsigned)
    try:
        spans = catalog.read_spans(one.partitions, scale)
    except UnknownBoundsError as error:
        return {"why": f"a bound of its partitions is no time ({error})", "what": "partitions"}
    due = [p for span, p in spans[1:-1] if span.upper <= bound and span.upper < HIGHEST]
    return {
        "overdue": len(due),
        "what": "partitions",
        "lately": [p.name for p in due[:SHOWN]],
        "ids": [identified(p.id) for p in due[:SHOWN]],
    }
