"""What retention reads: the catalog in a few queries for the whole database, then only what is due.

With nothing due on tables that lose whole partitions, four queries answer everything. Rows are counted
through the index and only up to a limit; where there are more, the planner estimates.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import psycopg
from psycopg import sql

from upkeep.errors import ConfigurationError
from upkeep.fleet import Target
from upkeep.fleet.location import is_table_name
from upkeep.jobs.contract import Ask
from upkeep.jobs.data_retention.cutoff import moment
from upkeep.jobs.data_retention.marker import drop_after, read_marker
from upkeep.jobs.partition_creation.limits import counts_time, told_by
from upkeep.model import Observation
from upkeep.postgres import catalog, holders, names
from upkeep.postgres.data_retention import archive_drift, counting, open_partitions, undroppable
from upkeep.postgres.data_retention.counting import CHECK_TIMEOUT
from upkeep.postgres.data_retention.detached import droppable
from upkeep.postgres.data_retention.doomed import Doomed
from upkeep.postgres.data_retention.files import observe as files_observe
from upkeep.postgres.data_retention.view import Leaf, Piece, TableView
from upkeep.postgres.data_retention.view_from_frames import (
    retain_policies,
    tells_age,
    views,
    with_facts,
    with_leaves,
    with_numbers,
)
from upkeep.postgres.names import column_of
from upkeep.postgres.sampling import sample
from upkeep.postgres.session import PostgresSession, Row

COUNT_LIMIT: Final = 50_000
"""Due rows counted exactly, some 5 ms through an index; beyond, the planner's estimate is good enough for a limit."""
MANY: Final = 5_000_000
MANY_TIMEOUT: Final = "3s"
"""A person approves a number of rows: it is counted where that takes no longer, some 0.1 s for a million."""
WRITERS_LIMIT: Final = 1_000
"""So few due rows are told apart by the transaction that wrote them: late arrivals, or left behind."""
FRAMES: Final = (
    *("relations", "archives", "partitions", "marked", "memory", "intents"),
    *("facts", "leaves", "numbers", "staying", "due", "references", "held", "busy"),
    *("files", "branches", "locations", "strays", "unmarked"),
)


def observe(ask: Ask[PostgresSession]) -> Observation:
    """Read what the plan and the gates need; change nothing."""
    session, target, memory = ask.session, ask.target, ask.memory
    frames: dict[str, list[Row]] = {name: [] for name in FRAMES}
    observation = ask.answer(frames)
    frames["server"] = [_server(session)]
    frames["memory"] = [{"oid": oid, **evidence} for oid, evidence in memory.detached.items()]
    frames["locations"] = [{"location": location, "id": mark} for location, mark in memory.locations.items()]
    frames["intents"] = [_intent(intent) for intent in memory.intents]
    _read_catalog(session, target, frames)
    _read_marked(session, target, frames)
    frames["files"] = files_observe.look(target, frames["relations"], session)
    frames["strays"] = files_observe.strays(target, frames["relations"], session, memory.locations)
    found = views(observation, target)
    frames["facts"] = _facts(session, [v for v in found if _needs_facts(v)])
    if frames["facts"]:
        found = with_facts(found, observation, target)
    _read_leaves(session, [v for v in found if v.problem is None and _has_something_due(v)], frames)
    if frames["leaves"]:
        found = with_leaves(found, frames)
    frames["numbers"] = list(_numbers(session, found))
    if frames["numbers"]:
        found = with_numbers(found, frames)
    frames["held"] = undroppable.read(session, found)
    for view in found:
        if view.problem is None and view.relation is not None:
            frames["staying"] += open_partitions.count(session, view)
            frames["due"] += _due(session, view)
            frames["references"] += _references(session, view)
            _read_younger(session, view, frames)
    return observation


def _server(session: PostgresSession) -> Row:
    row = session.rows("data_retention/server")[0]
    lag = session.rows("data_retention/pressure")[0]["lag_seconds"]
    known = {"subject": "server", "version_tested": session.tested, "replication_lag_seconds": lag}
    return {**known, **row, "now": row["now"].isoformat()}


def _intent(intent: Any) -> Row:
    return {"kind": intent.get("kind"), "subject": intent.get("subject"), "oid": (intent.get("args") or {}).get("oid")}


def _read_catalog(session: PostgresSession, target: Target, frames: dict[str, list[Row]]) -> None:
    patterns = []
    for name in retain_policies(target):
        try:
            patterns.append(names.parse(name))
        except ConfigurationError:
            continue  # the view says so for that table
    frames["relations"] = catalog.relation_rows(session, patterns)
    wanted = {n: p.retain.into for n, p in retain_policies(target).items() if p.retain and is_table_name(p.retain.into)}
    into, _ = names.parse_all(text for text in wanted.values() if text)
    found = catalog.relation_rows(session, into.values()) if into else []
    for policy, text in wanted.items():
        if text not in into or into[text].is_glob:
            continue  # the archive is missing then, and the view says so for that table
        exact = into[text].exact
        frames["archives"] += [
            {**r, "policy": policy} for r in found if (r["schema"], r["name"]) == (exact.schema, exact.name)
        ]
    parents = {r["oid"] for r in [*frames["relations"], *found] if r["kind"] == "p"}
    frames["partitions"] = catalog.partition_rows(session, sorted(parents))
    _read_branches(session, target, frames)


def _read_branches(session: PostgresSession, target: Target, frames: dict[str, list[Row]]) -> None:
    """Read the partitions of partitions, where those of the table itself do not tell the age."""
    policies = retain_policies(target)
    patterns, _ = names.parse_all(policies)
    found = catalog.by_policy([catalog.Relation(**row) for row in frames["relations"]], patterns)
    silent = {
        table.oid
        for name, tables in found.items()
        for table in tables
        if table.kind == "p" and not tells_age(table, policies[name].age_column or "")
    }
    branches = [row for row in frames["partitions"] if row["kind"] == "p" and row["parent"] in silent]
    if branches:
        wanted = [names.Pattern("", row["schema"], row["name"], is_glob=False) for row in branches]
        frames["branches"] = catalog.relation_rows(session, wanted)
        frames["partitions"] += catalog.partition_rows(session, sorted(row["oid"] for row in frames["branches"]))


def _read_marked(session: PostgresSession, target: Target, frames: dict[str, list[Row]]) -> None:
    archiving = any(p.retain and p.retain.then == "archive" for p in retain_policies(target).values())
    now = moment(frames["server"][0]["now"])
    for row in session.rows("detached", {"oid": None}):
        table, marker = sql.Identifier(row["schema"], row["name"]), read_marker(row["marker"])
        not_empty = counted = None
        asked = False
        if marker is not None and row["kind"] in ("r", "p") and not row["is_partition"]:
            if archiving or marker.get("then") == "archive":
                not_empty = _found(session, "data_retention/not_empty", table=table)
            asked = isinstance(marker.get("rows"), int) and drop_after(marker) <= now
        if asked and marker is not None:
            counted = counting.count(session, table, marker["rows"] + 1)
        uncounted = asked and counted is None
        seen = {"not_empty": not_empty, "counted": counted, "uncounted": uncounted, "younger": None}
        frames["marked"].append({**row, **seen})
    gone = {int(row["oid"]) for row in frames["memory"]} - {row["oid"] for row in frames["marked"]}
    if gone:
        frames["unmarked"] = session.rows("data_retention/unmarked", {"oids": sorted(gone)})


def _read_younger(session: PostgresSession, view: TableView, frames: dict[str, list[Row]]) -> None:
    """Look, in each detached table that would be dropped, for rows that today's policy keeps."""
    for marked in view.marked:
        if marked.kind not in ("r", "p") or view.axis is None or not droppable(view, marked):
            continue
        age = column_of(view.age)
        doomed = Doomed(marked.oid, marked.schema, marked.name, age, view.axis.type, view.cut_off_text)
        row = next(row for row in frames["marked"] if row["oid"] == marked.oid)
        parts = {"table": doomed.table, "age": doomed.age, "cut_off": doomed.value(doomed.cut_off)}
        try:
            row["younger"] = _found(session, "data_retention/younger", **parts)
            row["uncounted"] |= row["younger"] is None  # not seen is not "nothing younger"
        except (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedFunction):
            row["younger"] = True  # its age column is gone, or another one


def _needs_facts(view: TableView) -> bool:
    if view.relation is None or view.relation.kind not in ("r", "p"):
        return False
    return not view.by_partition or bool(view.due_pieces) or view.archives or view.problem is not None


def _has_something_due(view: TableView) -> bool:
    return view.relation is not None and (not view.by_partition or bool(view.due_pieces) or bool(view.marked))


def _facts(session: PostgresSession, found: Sequence[TableView]) -> list[Row]:
    oids = {v.relation.oid for v in found if v.relation} | {v.archive.oid for v in found if v.archive}
    if not oids:
        return []
    moving = [(v.relation.oid, v.archive.oid) for v in found if v.relation and v.archive]
    trees = archive_drift.read(session, [source for source, _ in moving], [archive for _, archive in moving])
    return [row | trees.get(row["oid"], {}) for row in session.rows("data_retention/facts", {"oids": sorted(oids)})]


def _read_leaves(session: PostgresSession, found: Iterable[TableView], frames: dict[str, list[Row]]) -> None:
    known = list(found)
    ages = {v.relation.oid: column_of(v.age) for v in known if v.relation}
    ages |= {m.oid: column_of(v.age) for v in known for m in v.marked if m.kind == "p" and m.not_empty}
    if not ages:
        return
    try:
        frames["leaves"] = session.rows("leaves", {"roots": list(ages), "ages": list(ages.values())})
    except psycopg.errors.LockNotAvailable:  # somebody holds one of them exclusively: ask for each alone
        for oid, age in ages.items():
            try:
                frames["leaves"] += session.rows("leaves", {"roots": [oid], "ages": [age]})
            except psycopg.errors.LockNotAvailable:
                frames["busy"].append({"oid": oid, "held_by": holders.held_by(session, [oid])})


def _numbers(session: PostgresSession, found: Iterable[TableView]) -> Iterable[Row]:
    """Yield some ages of each table whose bounds do not tell whether its numbers are times in the unit declared."""
    for view in found:
        if view.problem is not None or view.relation is None or view.axis is None or not counts_time(view.axis):
            continue
        if not told_by((p.lower, p.upper) for p in view.pieces):
            numbers = sample(session, view.relation, column_of(view.age))
            yield {"oid": view.relation.oid, "age": view.age, "numbers": numbers}


def _due(session: PostgresSession, view: TableView) -> list[Row]:
    """Count the due rows of each leaf that is worked on row by row, and the rows of due partitions nobody knows."""
    if view.by_partition:
        leaves = [leaf for piece in view.due_pieces for leaf in view.leaves_below(piece.partition.oid)]
        wanted = [leaf for leaf in leaves if leaf.rows is None or view.archives]
        return [row for leaf in wanted for row in _counted(session, view, leaf)]
    return [row for leaf in view.row_leaves() for row in _counted(session, view, leaf)]


def _counted(session: PostgresSession, view: TableView, leaf: Leaf) -> list[Row]:
    if leaf.kind != "r":
        return []
    doomed = Doomed.of(view, leaf)
    parts: dict[str, sql.Composable] = {"table": doomed.table, "age": doomed.age, "limit": sql.Literal(COUNT_LIMIT + 1)}
    row: Row = {"oid": leaf.oid, "referenced": 0, "writers": None, "due_is_least": False, "first": None, "rows": None}
    try:
        with session.transaction():
            session.rows("set_local_timeouts", {"lock": "2s", "statement": CHECK_TIMEOUT})
            found = session.execute(session.statement("data_retention/due", due=doomed.predicate, **parts)).fetchall()[
                0
            ]
            row |= {"due": found["due"], "first": found["first"]}
            if found["due"] > COUNT_LIMIT:
                row |= _many(session, doomed)
            elif found["due"] <= WRITERS_LIMIT:
                row["writers"] = _writers(session, doomed)
            if leaf.rows is None:
                row["rows"] = _rows(session, doomed)
            if doomed.has_references:
                whole = session.execute(session.statement("data_retention/due", due=doomed.due, **parts)).fetchall()[0]
                row["referenced"] = max(whole["due"] - found["due"], 0)
    except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled, psycopg.errors.InsufficientPrivilege):
        row |= {"due": None}
    return [row]


def _many(session: PostgresSession, doomed: Doomed) -> Row:
    """Count many due rows too, for what is approved is counted by it; estimate where that takes long."""
    parts: dict[str, sql.Composable] = {"table": doomed.table, "age": doomed.age, "due": doomed.predicate}
    statement = session.statement("data_retention/due", limit=sql.Literal(MANY), **parts)
    try:
        with session.transaction():
            session.rows("set_local_timeouts", {"lock": "2s", "statement": MANY_TIMEOUT})
            due = int(session.execute(statement).fetchall()[0]["due"])
    except psycopg.errors.QueryCanceled:
        due = COUNT_LIMIT
    finally:
        session.rows("set_local_timeouts", {"lock": "2s", "statement": CHECK_TIMEOUT})
    if COUNT_LIMIT < due < MANY:
        return {"due": due}
    return {"due": max(due, _estimate(session, doomed, doomed.due)), "due_is_least": True}


def _rows(session: PostgresSession, doomed: Doomed) -> int:
    """Return how many rows a table holds that was never analysed: counted, or estimated where there are many."""
    parts: dict[str, sql.Composable] = {"table": doomed.table, "age": doomed.age, "limit": sql.Literal(COUNT_LIMIT + 1)}
    counted = session.execute(session.statement("data_retention/due", due=sql.SQL("true"), **parts)).fetchall()[0][
        "due"
    ]
    return int(counted if counted <= COUNT_LIMIT else max(_estimate(session, doomed, sql.SQL("true")), counted))


def _estimate(session: PostgresSession, doomed: Doomed, due: sql.Composable) -> int:
    statement = session.statement("data_retention/estimate", table=doomed.table, due=due)
    return int(session.execute(statement).fetchall()[0]["QUERY PLAN"][0]["Plan"]["Plan Rows"])


def _writers(session: PostgresSession, doomed: Doomed) -> dict[str, int]:
    parts: dict[str, sql.Composable] = {"table": doomed.table, "due": doomed.predicate}
    parts["limit"] = sql.Literal(WRITERS_LIMIT)
    rows = session.execute(session.statement("data_retention/due_transactions", **parts)).fetchall()
    return {row["writer"]: row["written"] for row in rows}


def _references(session: PostgresSession, view: TableView) -> list[Row]:
    """Look, for each due partition, whether a row elsewhere still refers to one of its rows."""
    keys = (view.facts or {}).get("referenced_by") or []
    if not view.by_partition or not keys or view.relation is None:
        return []
    return [
        {"root": view.relation.oid, "partition": piece.partition.oid, "referencing": found}
        for piece in view.due_pieces
        for key in keys
        if (found := _reference(session, piece, key)) != ""
    ]


def _reference(session: PostgresSession, piece: Piece, key: Row) -> str | None:
    """Return the referring table's name, nothing when no row refers, or ``None`` when it could not be checked."""
    found = _found(
        session,
        "data_retention/referenced",
        referencing=sql.Identifier(key["schema"], key["table"]),
        table=piece.partition.full_name.identifier,
        condition=sql.SQL(" and ").join(
            sql.SQL("r.{} = t.{}").format(sql.Identifier(mine), sql.Identifier(theirs))
            for mine, theirs in zip(key["columns"], key["referenced"], strict=True)
        ),
    )
    return None if found is None else names.display(key["schema"], key["table"]) if found else ""


def _found(session: PostgresSession, name: str, **parts: sql.Composable) -> bool | None:
    """Return what a question answers; ``None`` when a lock, a missing privilege, the time-out … forbade to look."""
    try:
        with session.transaction():
            session.rows("set_local_timeouts", {"lock": "1s", "statement": CHECK_TIMEOUT})
            return bool(session.execute(session.statement(name, **parts)).fetchall()[0]["found"])
    except (psycopg.OperationalError, psycopg.errors.InsufficientPrivilege):  # another server may be asked
        return None
