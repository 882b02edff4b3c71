"""What retention reads: the catalog in a few queries for the whole target, then only what is due.

Rows are counted up to a limit; where there are more, statistics or the planner estimate, and it is said.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, Final

import pymysql

from upkeep.fleet import Target
from upkeep.fleet.location import is_table_name
from upkeep.jobs.contract import Ask
from upkeep.jobs.data_retention.marker import read_marker
from upkeep.jobs.partition_creation.axis import HIGHEST, LOWEST, Value
from upkeep.model import Observation
from upkeep.tidb import catalog, create_text, ddl, keys, names, server, sql
from upkeep.tidb.ages import ZERO_DATES_END, age_text, ageless, odd_date
from upkeep.tidb.catalog import Partition, Table
from upkeep.tidb.data_retention import detached_facts
from upkeep.tidb.data_retention.checks import SMALL_ROWS
from upkeep.tidb.data_retention.doomed import Doomed
from upkeep.tidb.data_retention.view import Piece, TableView
from upkeep.tidb.data_retention.view_from_frames import retain_policies, views
from upkeep.tidb.session import Row, TiDBSession

COUNT_LIMIT: Final = 20_000
"""Rows counted exactly, some 0.1 s; beyond, estimates are good enough for a limit."""
AGELESS_LIMIT: Final = 1_000_000


def observe(ask: Ask[TiDBSession]) -> Observation:
    """Read what the plan and the gates need; change nothing."""
    session, target, memory = ask.session, ask.target, ask.memory
    frames: dict[str, list[Row]] = {"server": [{**server.observe(session), "ttl_runs": _ttl_runs(session)}]}
    frames["memory"] = [{"oid": oid, **evidence} for oid, evidence in memory.detached.items()]
    frames["intents"] = [_intent(intent) for intent in memory.intents]
    frames["jobs"] = ddl.jobs(session)
    _read_catalog(session, target, frames)
    # the frames are filled while the views of them are gone through: what is counted depends on what was seen
    observation = ask.answer(frames)
    for view in views(observation, target):
        frames["kept"] += detached_facts.of_marked(session, view)
        if view.problem is not None or view.table is None:
            continue
        facts, counts = _facts(session, view), list(_counts(session, view))
        # how many rows a table has matters only for the share that goes: counted only where statistics are too low to
        # tell
        going = [row["rows"] for row in counts] if view.by_partition else [facts.get("due")]
        facts["rows"] = _rows(session, view.table, going, target.limits.share)
        frames["facts"].append(facts)
        frames["counts"] += counts
        frames["stuck"] += _stuck(session, view)
    return observation


def _read_catalog(session: TiDBSession, target: Target, frames: dict[str, list[Row]]) -> None:
    declared = retain_policies(target)
    tables = [
        row
        for row in catalog.tables(session, [names.parse(name) for name in declared])
        if read_marker(row["comment"]) is None  # a glob may match what was detached
    ]
    wanted = {n: p.retain.into for n, p in declared.items() if p.retain and is_table_name(p.retain.into)}
    into = {n: names.parse(text) for n, text in wanted.items() if text}
    archives = catalog.tables(session, into.values())
    frames["tables"] = tables
    frames["archives"] = [
        {**row, "policy": n}
        for n, pattern in into.items()
        for row in archives
        if pattern.matches(row["schema"], row["name"], session.database)
    ]
    patterns = [*(names.parse(name) for name in declared), *into.values()]
    frames["no_tables"] = catalog.no_tables(session, patterns, [*tables, *archives])
    every = [*tables, *archives]
    frames["partitions"] = catalog.of_tables(session, "partitions", tables, "p")
    frames["columns"] = catalog.of_tables(session, "columns", every, "c")
    frames["indexes"] = catalog.of_tables(session, "indexes", tables, "s")
    frames["unique_keys"] = catalog.of_tables(session, "data_retention/unique_keys", every, "s") if archives else []
    frames["foreign_keys"] = _foreign_keys(session, tables)
    schemas = sorted({row["schema"] for row in tables})
    ids = [int(row["oid"]) for row in frames["memory"]]
    frames["marked"] = session.rows("data_retention/marked_tables", {"schemas": [*schemas, ""], "ids": [*ids, 0]})
    frames["orphans"] = _orphans(session, frames["marked"])
    frames["facts"], frames["counts"], frames["kept"], frames["stuck"] = [], [], [], []


def _orphans(session: TiDBSession, marked: Iterable[Row]) -> list[Row]:
    """Return the detached tables whose table was dropped, truncated or made anew: no policy takes care of them."""
    read = [(row, read_marker(row["comment"])) for row in marked]
    known = [(row, marker) for row, marker in read if marker is not None and isinstance(marker.get("parent_oid"), int)]
    ids = sorted({marker["parent_oid"] for _, marker in known})
    there = {row["id"] for row in session.rows("data_retention/parents", {"ids": ids})} if ids else set()
    return [{"id": row["id"]} for row, marker in known if marker["parent_oid"] not in there]


def _foreign_keys(session: TiDBSession, tables: Iterable[Row]) -> list[Row]:
    known = list(tables)
    if not known:
        return []
    listed = sorted({row["name"].lower() for row in known})
    among = sql.fill("lower(k.referenced_table_name) in %(names)s", {"names": listed})
    return session.rows(
        "data_retention/foreign_keys", {"schemas": sorted({row["schema"].lower() for row in known})}, among=among
    )


def _intent(intent: Any) -> Row:
    return {"kind": intent.get("kind"), "subject": intent.get("subject"), "oid": (intent.get("args") or {}).get("oid")}


def _ttl_runs(session: TiDBSession) -> bool:
    return bool(session.rows("data_retention/ttl_enabled")[0]["enabled"])


def _facts(session: TiDBSession, view: TableView) -> Row:
    """Return the options of the table and its archive, and for rows how many are due."""
    table = view.table
    assert table is not None  # noqa: S101 - as observe says
    parts = create_text.take_apart(ddl.show_create(session, table.schema, table.name))
    row: Row = {"id": table.id, "options": parts.options}
    if view.archive is not None:
        row["constraints"] = create_text.constraints(parts.columns)
        row |= _archive(session, view.archive)
    if view.by_partition:
        row["global_index"] = create_text.has_global_index(parts.columns)
        return row | (_numbers(session, view) if not _tells_unit(view) else {})
    if view.age_index is None:
        few = server.count(session, table.identifier, sql.Sql("true"), SMALL_ROWS + 1)
        row["small"] = few is not None and few <= SMALL_ROWS
    if view.age_index is None and not row["small"]:
        return row  # refused: nothing is read whole only to be counted
    return row | _due(session, view) | _numbers(session, view) | _timeless(session, view)


def _archive(session: TiDBSession, archive: Table) -> Row:
    text = ddl.show_create(session, archive.schema, archive.name)
    parts = create_text.take_apart(text)
    return {
        "archive_options": parts.options,
        "archive_temporary": create_text.is_temporary(text),
        "archive_cached": create_text.is_cached(parts.options),
        "archive_constraints": create_text.constraints(parts.columns),
    }


def _tells_unit(view: TableView) -> bool:
    return any(place not in (0, LOWEST, HIGHEST) for piece in view.pieces for place in piece.span)


def _numbers(session: TiDBSession, view: TableView) -> Row:
    """Return the ends of an age column that counts numbers: whether they are times in the declared unit."""
    table, axis = view.table, view.axis
    if table is None or axis is None or not axis.type.startswith("int") or not (view.age_index or view.small):
        return {}
    parts = {"hint": _doomed(view).by_age, "age": sql.identifier(view.age), "table": table.identifier}
    return {"numbers": [int(row["number"]) for row in session.rows("data_retention/age_ends", **parts)]}


def _timeless(session: TiDBSession, view: TableView) -> Row:
    """Return how many of the first due rows have a date with a month or day of 0; no more of them are read."""
    if not view.odd_dates:
        return {}
    doomed, age = _doomed(view), sql.identifier(view.age)
    parts = {"hint": doomed.by_age, "a": age, "t": doomed.source, "c": doomed.value(doomed.cut_off)}
    text = "(select {hint} {a} from {t} where {a} < {c} and {a} >= %(end)s order by {a} limit %(most)s) as r"
    source = sql.fill(text, {"end": ZERO_DATES_END, "most": COUNT_LIMIT}, **parts)
    return {"timeless": server.count(session, source, odd_date(age), COUNT_LIMIT)}


def _stuck(session: TiDBSession, view: TableView) -> Iterator[Row]:
    """Yield how many due rows lie in partitions that stay: the lowest, the last, and the one up to MAXVALUE."""
    table, axis, scale, cut_off = view.table, view.axis, view.scale, view.cut_off
    if table is None or axis is None or scale is None or cut_off is None or not view.by_partition:
        return
    for partition, before, why in _staying(view, cut_off):
        doomed = _doomed(view, partition.name, age_text(axis, before))
        rows = server.count(session, doomed.source, doomed.predicate, COUNT_LIMIT)
        row = {"table_id": table.id, "partition": partition.name, "open": partition.id not in _ids(view), "why": why}
        yield {**row, "rows": rows, "least": rows == COUNT_LIMIT}


def _staying(view: TableView, cut_off: Value) -> Iterator[tuple[Partition, Value, str]]:
    """Yield the partitions that stay although old rows may lie in them, with the place before which those are."""
    pieces = view.pieces
    top = next((p for p in view.partitions if keys.bare(p.upper_bound).upper() == "MAXVALUE"), None)
    if top is not None and (not pieces or pieces[-1].span.upper < cut_off):
        yield top, cut_off, "which takes everything up to MAXVALUE"
    if pieces and pieces[-1].span.upper <= cut_off:
        yield pieces[-1].partition, cut_off, "the last one with an end"
    elif pieces and pieces[0].span.upper > cut_off:  # it takes everything below: rows older than a partition is long
        first = pieces[0].span.upper
        begins = first - (pieces[1].span.upper - first) if len(pieces) > 1 else cut_off
        yield pieces[0].partition, min(cut_off, begins), "the lowest, which takes everything before"


def _ids(view: TableView) -> set[int]:
    return {p.partition.id for p in view.pieces}


def _due(session: TiDBSession, view: TableView) -> Row:
    doomed = _doomed(view)
    counted = server.count(session, doomed.source, doomed.predicate, COUNT_LIMIT)
    # more are not worth reading only to be counted: the planner's estimate will do, and findings say that it is one
    if counted is not None and counted < COUNT_LIMIT:
        return {"due": counted, "due_is_least": False}
    try:
        plan = session.rows("data_retention/explain_due", source=doomed.source, predicate=doomed.predicate)
        estimate = round(float(plan[0]["estRows"]))
    except (pymysql.MySQLError, KeyError, ValueError, IndexError):
        return {"due": None, "due_is_least": True}
    return {"due": max(estimate, counted or 0), "due_is_least": True}


def _doomed(view: TableView, partition: str | None = None, before: str | None = None) -> Doomed:
    table, axis = view.table, view.axis
    assert table is not None and axis is not None  # noqa: S101, PT018 - as observe says
    return Doomed(
        schema=table.schema,
        table=table.name,
        partition=partition,
        age=view.age,
        age_type=axis.type,
        cut_off=before or view.cut_off_text,
        key=tuple(view.row_key),
        index=view.age_index,
        references=tuple(dict(r) for r in view.referenced_by if r["on_delete"] not in ("CASCADE", "SET NULL")),
    )


def _rows(session: TiDBSession, table: Table, going: Iterable[int | None], share: float) -> int:
    """Return how many rows the table has: what statistics say, and where that is too few for the limit, counted.

    Statistics of a table that was filled a moment ago say 0, and then any row would be all of it.
    """
    enough = math.ceil(sum(rows or 0 for rows in going) / max(share, 0.001)) + 1
    if table.rows >= enough:
        return table.rows
    return max(table.rows, server.count_whole(session, table.identifier) or 0)


def _counts(session: TiDBSession, view: TableView) -> Iterator[Row]:
    """Yield what is in each partition that is due."""
    if not view.is_partitioned or view.scale is None:
        return
    for piece in view.due_pieces:
        yield _count(session, view, piece)


def _count(session: TiDBSession, view: TableView, piece: Piece) -> Row:
    table, axis = view.table, view.axis
    assert table is not None and axis is not None  # noqa: S101, PT018 - as observe says
    source = sql.fill("{t} partition ({p})", t=table.identifier, p=sql.identifier(piece.partition.name))
    rows = server.count(session, source, sql.Sql("true"), COUNT_LIMIT)
    exact = rows is not None and rows < COUNT_LIMIT
    without: int | None = 0
    if view.policy.then == "delete" and rows != 0 and (view.nullable if piece.lowest else view.odd_dates):
        without = server.count(session, source, ageless(view.age, axis.type), AGELESS_LIMIT)
    known = rows if exact else max(piece.partition.rows, rows or 0) or None
    return {"id": piece.partition.id, "rows": known, "exact": exact, "ageless": without}
