"""What partition creation reads: the server, the tables, their partitions.

Only where something is missing it asks on: how siblings are made, which names are taken, who holds locks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import psycopg
from psycopg import sql

from upkeep.fleet import RangeLevel
from upkeep.fleet.tables import Top
from upkeep.jobs.contract import Ask
from upkeep.jobs.partition_creation.limits import counts_time, told_by
from upkeep.model import Observation
from upkeep.postgres import catalog, faults, holders, names
from upkeep.postgres.names import column_of
from upkeep.postgres.partition_creation import alike
from upkeep.postgres.partition_creation.conversion import observe as conversion_observe
from upkeep.postgres.partition_creation.forms import Span, Values, form_args
from upkeep.postgres.partition_creation.list_values import ask, compare
from upkeep.postgres.partition_creation.partition_names import names_thought_of
from upkeep.postgres.partition_creation.statements import belongs
from upkeep.postgres.partition_creation.view import AnyLevel, Care, Default
from upkeep.postgres.partition_creation.view_from_frames import cares, judged_anew
from upkeep.postgres.partition_creation.view_of_level import with_default
from upkeep.postgres.sampling import sample
from upkeep.postgres.session import PostgresSession, Row

COUNT_SECONDS: Final = 20
"""How long counting the rows of one default partition may take; longer, and it is said to be unknown."""
LOOK_BACK: Final = 50
"""Partitions of ids that are looked into, from the newest, for the highest id."""


def observe(ask: Ask[PostgresSession]) -> Observation:
    """Read what the plan and the gates need; change nothing."""
    session, target, at = ask.session, ask.target, ask.at
    frames: dict[str, list[Row]] = {"server": [_server(session)], "ids": []}
    frames |= {name: [] for name in ("branches", "branch_spans", "types", "values")}
    levels = {key: policy.partition for key, policy in target.subjects().items() if policy.partition is not None}
    patterns, _ = names.parse_all(levels)
    frames["relations"] = catalog.relation_rows(session, patterns.values())
    tables = catalog.by_policy([catalog.Relation(**row) for row in frames["relations"]], patterns)
    declared = [(levels[key], table) for key, known in tables.items() for table in known]
    parents = [row["oid"] for row in frames["relations"] if row["kind"] == "p"]
    frames["spans"] = session.rows("partition_creation/spans", {"parents": parents}) if parents else []
    frames["plain"] = conversion_observe.observe(session, _plain(declared))
    _branches(session, frames, declared)
    found = cares(frames, target, at)
    _types_and_values(session, frames, found)
    found = judged_anew(found, frames, target, at, frames["types"])
    frames["numbers"] = list(_numbers(session, found))
    found = judged_anew(found, frames, target, at, frames["numbers"])
    frames["ids"] = list(_ids(session, found))
    found = judged_anew(found, frames, target, at, frames["ids"])
    frames["defaults"] = _defaults(session, found)
    needy = [care for care in found if care.to_create]
    frames["conditions"] = _conditions(session, needy)
    frames["siblings"] = _siblings(session, needy)
    frames["options"] = alike.read(session, [row["oid"] for row in frames["siblings"]])
    frames["taken"] = _taken(session, needy) + conversion_observe.taken(session, found)
    frames["columns"] = _columns(session, needy)
    frames["blockers"] = _blockers(session, needy)
    return ask.answer(frames)


def _plain(declared: Iterable[tuple[AnyLevel, catalog.Relation]]) -> dict[int, str]:
    """Return the plain tables for which range partitions are declared, and by which column."""
    return {t.oid: column_of(level.by) for level, t in declared if isinstance(level, RangeLevel) and t.kind == "r"}


def _server(session: PostgresSession) -> Row:
    row = session.rows("partition_creation/server_state")[0]
    return {
        "subject": "server",
        "reachable": True,
        "is_replica": session.is_replica,
        "version": session.version,
        "version_tested": session.tested,
        "disk_free_bytes": None,  # SQL does not tell
        **row,
        "now": row["now"].isoformat(),
    }


def _branches(
    session: PostgresSession, frames: dict[str, list[Row]], declared: Iterable[tuple[AnyLevel, catalog.Relation]]
) -> None:
    """Read the partitions that are partitioned in turn, and their partitions."""
    wanted = {t.oid for level, t in declared if isinstance(level, Top) and level.subpartition is not None}
    patterns = [
        names.Pattern("", schema, name, is_glob=False)
        for row in frames["spans"]
        if row["parent"] in wanted
        for schema, name in zip(row["parent_schemas"] or (), row["parent_names"] or (), strict=True)
    ]
    if patterns:
        frames["branches"] = catalog.relation_rows(session, patterns)
        frames["branch_spans"] = session.rows(
            "partition_creation/spans", {"parents": [row["oid"] for row in frames["branches"]]}
        )


def _types_and_values(session: PostgresSession, frames: dict[str, list[Row]], found: Sequence[Care]) -> None:
    """Read the types of columns where they are not known yet, and what declared list values are as such."""
    wanted = list(ask(found, frames))
    if not wanted:
        return
    params = {"oids": [one.root for one in wanted], "columns": [one.column for one in wanted]}
    frames["types"] = session.rows("partition_creation/column_types", params)
    types = {(row["oid"], row["name"]): row for row in frames["types"]}
    for one in wanted:
        row = types.get((one.root, one.column))
        if one.texts and row is not None:
            known = compare(session, row, one)
            frames["values"].append({"oid": one.root, "depth": one.depth, "known": known})


def _conditions(session: PostgresSession, needy: Sequence[Care]) -> list[Row]:
    """Read what partitions take that are to be given partitions, where rows may have to move into those."""
    oids = [c.relation.oid for c in needy if c.depth and c.default is not None and c.relation is not None]
    return session.rows("partition_condition", {"oids": oids}) if oids else []


def _ids(session: PostgresSession, found: Iterable[Care]) -> Iterable[Row]:
    """Yield where each table of plain ids stands: its sequence, else the highest id in its newest partitions."""
    for care in found:
        if care.axis is None or not care.axis.is_id or care.relation is None:
            continue
        column = care.relation.key_columns[0]
        at, unseen = (
            session.rows("partition_creation/highest_id", {"oid": care.relation.oid, "column": column})[0]["at"],
            None,
        )
        for oid in reversed(care.oids[-LOOK_BACK:]) if at is None else ():
            try:
                at = _highest_in(session, oid, column or "")
            except psycopg.errors.LockNotAvailable:
                unseen = f"another session holds a partition locked{holders.held_by(session, [oid])}"
            except psycopg.errors.InsufficientPrivilege as error:
                unseen = faults.describe(error)
            if at is not None or unseen is not None:
                break
        if at is not None or unseen is not None:
            yield {"oid": care.relation.oid, "at": at, "unseen": unseen}


def _numbers(session: PostgresSession, found: Iterable[Care]) -> Iterable[Row]:
    """Yield some keys of each table whose bounds do not tell whether its numbers are times in the unit declared."""
    for care in found:
        if care.axis is None or care.relation is None or not care.ready or not counts_time(care.axis):
            continue
        if not told_by(care.spans) and (care.oids or care.default):
            numbers = sample(session, care.relation, care.relation.key_columns[0] or "")
            yield {"oid": care.relation.oid, "numbers": numbers}


def _highest_in(session: PostgresSession, oid: int, column: str) -> int | None:
    known = [
        sql.Identifier(row["schema"], row["name"])
        for row in session.rows("partition_creation/table_name", {"oid": oid})
    ]
    rows = [
        row
        for table in known
        for row in session.execute(session.statement("highest_in", key=sql.Identifier(column), table=table))
    ]
    return rows[0]["at"] if rows else None


def _defaults(session: PostgresSession, found: Sequence[Care]) -> list[Row]:
    known = list(with_default(found))
    if not known:
        return []
    oids = [default.oid for _, default in known]
    try:
        sizes = {row["oid"]: row["bytes"] for row in session.rows("partition_creation/default_sizes", {"oids": oids})}
    except psycopg.errors.LockNotAvailable:  # somebody holds one of them: ask for each alone
        sizes = {oid: _size(session, oid) for oid in oids}
    foreign = {row["oid"]: row["names"] for row in session.rows("foreign_below", {"oids": oids})}
    return [
        alike.elsewhere(care, default.oid, foreign[default.oid])
        if default.oid in foreign
        else _default(session, care, default, sizes.get(default.oid))
        for care, default in known
    ]


def _size(session: PostgresSession, oid: int) -> int | None:
    try:
        rows = session.rows("partition_creation/default_sizes", {"oids": [oid]})
    except psycopg.errors.LockNotAvailable:
        return None
    return int(rows[0]["bytes"] or 0) if rows else None


def _default(session: PostgresSession, care: Care, default: Default, size: int | None) -> Row:
    """Return what the default partition holds, by the ranges that are missing."""
    row: Row = {
        "oid": default.oid,
        "parent": care.relation.oid if care.relation else None,
        "bytes": size,
        "buckets": [],
        "unknown": None,
    }
    if size is None:
        return {**row, "unknown": f"another session holds it locked{holders.held_by(session, [default.oid])}"}
    if size == 0:
        return row
    try:
        row["buckets"] = _count(session, care, default) if care.layout else _count_values(session, care, default)
        row.update(session.rows("partition_creation/default_facts", {"oid": default.oid})[0])
    except psycopg.errors.LockNotAvailable:
        row["unknown"] = f"another session holds it locked{holders.held_by(session, [default.oid])}"
    except psycopg.errors.QueryCanceled:
        row["unknown"] = f"its rows could not be counted in {COUNT_SECONDS} s"
    except psycopg.errors.InsufficientPrivilege as error:
        row["unknown"] = faults.describe(error)
    return row


def _thresholds(care: Care) -> list[int]:
    assert care.layout is not None  # noqa: S101 - with_default yields tables with a layout
    marks = {care.layout.horizon}
    for span in care.to_create:
        marks |= {span.lower, span.upper} if isinstance(span, Span) else set()
    return sorted(marks)


def _count(session: PostgresSession, care: Care, default: Default) -> list[Row]:
    assert care.axis is not None and care.relation is not None  # noqa: S101, PT018 - with_default
    axis, end = care.axis, care.axis.end
    thresholds = [mark for mark in _thresholds(care) if end is None or mark < end]  # where it ends, nothing is beyond
    texts = [axis.write(mark) for mark in thresholds]
    parts: dict[str, sql.Composable] = {
        "key": sql.Identifier(care.relation.key_columns[0] or ""),
        "type": sql.Identifier("pg_catalog", axis.type),
        "table": sql.Identifier(default.schema, default.name),
    }
    with session.transaction():
        session.rows("set_local_timeouts", {"lock": "2s", "statement": f"{COUNT_SECONDS}s"})
        buckets = session.execute(session.statement("default_rows", **parts), {"thresholds": texts}).fetchall()
    for bucket in buckets:
        number = bucket["bucket"]
        bucket["lower"] = thresholds[number - 1] if number else None
        bucket["upper"] = thresholds[number] if number is not None and number < len(thresholds) else None
    return buckets


def _count_values(session: PostgresSession, care: Care, default: Default) -> list[Row]:
    """Count the rows of a list's default partition by the missing partition that they belong to."""
    assert care.relation is not None  # noqa: S101 - with_default
    key = care.relation.key_columns[0] or ""
    cases = [
        sql.SQL("when {} then {}").format(belongs({**form_args(form, None), "key": key}, "d"), sql.Literal(number))
        for number, form in enumerate(care.to_create)
        if isinstance(form, Values)
    ]
    branch = care.branch
    below = sql.SQL("d.{}").format(sql.Identifier(branch.key)) if branch and branch.axis else sql.SQL("null::text")
    parts: dict[str, sql.Composable] = {
        "bucket": sql.SQL("case {} end").format(sql.SQL(" ").join(cases)) if cases else sql.SQL("null::int"),
        "key": sql.Identifier(key),
        "below": below,
        "table": sql.Identifier(default.schema, default.name),
    }
    with session.transaction():
        session.rows("set_local_timeouts", {"lock": "2s", "statement": f"{COUNT_SECONDS}s"})
        buckets = session.execute(session.statement("partition_creation/list_default_rows", **parts)).fetchall()
    for bucket in buckets:
        form = care.to_create[bucket["bucket"]] if bucket["bucket"] is not None else None
        bucket["label"] = form.label if isinstance(form, Values) else None
    return buckets


def _siblings(session: PostgresSession, needy: Sequence[Care]) -> list[Row]:
    models = {care.model for care in needy} | {care.branch.model for care in needy if care.branch}
    return session.rows("partition_creation/siblings", {"oids": sorted(models)}) if needy else []


def _taken(session: PostgresSession, needy: Sequence[Care]) -> list[Row]:
    wanted = [
        (care.relation.schema, name)
        for care in needy
        if care.relation is not None
        for form in care.to_create
        for name in names_thought_of(care, form)
    ]
    if not wanted:
        return []
    return session.rows(
        "partition_creation/taken_names", {"schemas": [s for s, _ in wanted], "names": [n for _, n in wanted]}
    )


def _columns(session: PostgresSession, needy: Sequence[Care]) -> list[Row]:
    found: list[Row] = []
    for care in needy:
        if care.relation is not None and care.default is not None:
            oid = care.relation.oid
            known = [row["name"] for row in session.rows("columns", {"oid": oid}) if not row["generated"]]
            found.append({"oid": oid, "names": known})
    return found


def _blockers(session: PostgresSession, needy: Sequence[Care]) -> list[Row]:
    if not needy:
        return []
    params: dict[str, Any] = {
        "parents": [care.relation.oid for care in needy if care.relation is not None],
        "defaults": [care.default.oid for care in needy if care.default is not None],
    }
    return session.rows("partition_creation/blockers", params)
