"""How a `TableView` is made: from the observed rows, also while they are still being read. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from upkeep.fleet import TablePolicy, Target
from upkeep.fleet.location import is_table_name
from upkeep.jobs.data_retention.cutoff import age_axis, cut_off, moment
from upkeep.jobs.data_retention.marker import read_marker
from upkeep.jobs.partition_creation.axis import HIGHEST, LOWEST, Axis, UnknownBoundsError
from upkeep.jobs.partition_creation.layout import Span
from upkeep.model import Observation
from upkeep.tidb import catalog, keys, names, ttl
from upkeep.tidb.catalog import Partition, Table
from upkeep.tidb.data_retention.view import Marked, Piece, TableView

Frames: TypeAlias = Mapping[str, Sequence[Mapping[str, Any]]]


def retain_policies(target: Target) -> dict[str, TablePolicy]:
    """Return the policies that say something about retention."""
    return {name: policy for name, policy in target.subjects().items() if policy.retain is not None}


def views(observation: Observation, target: Target) -> list[TableView]:
    """Return a view for each table in care, and one for each policy without a table."""
    frames: Frames = observation.frames
    server = frames["server"][0]
    declared = retain_policies(target)
    patterns = {name: names.parse(name) for name in declared}
    default = server["database"]
    found = catalog.by_policy([Table(**row) for row in frames["tables"]], patterns, default)
    every = [policy.retain.into for policy in declared.values() if policy.retain is not None]
    archives = [names.parse(into) for into in every if into is not None and is_table_name(into)]
    result: list[TableView] = []
    for name, policy in declared.items():
        retain = policy.retain
        assert retain is not None  # noqa: S101 - for the type checker
        base = TableView(
            policy_name=name,
            policy=retain,
            subject=name,
            age=names.column(policy.age_column or ""),
            at=observation.at,
            server_now=moment(server["now"]),
            ttl_runs=bool(server["ttl_runs"]),
        )
        if not found[name] and not patterns[name].is_glob:
            kind = catalog.kind_of(frames.get("no_tables", ()), patterns[name], default)
            problem = ("the table does not exist", "correct the name, or create the table")
            if kind is not None:
                problem = (f"it is {kind}, not a table: its rows lie elsewhere", catalog.NAME_A_TABLE)
            result.append(replace(base, problem=problem))
        found_here = found[name]
        if patterns[name].is_glob:  # an archive is only meant by its name in full
            found_here = [t for t in found_here if not any(a.matches(t.schema, t.name, default) for a in archives)]
        result += [_view(base, policy, table, frames) for table in found_here]
    return result


def _view(base: TableView, policy: TablePolicy, table: Table, frames: Frames) -> TableView:
    columns = _of(frames["columns"], table)
    marked = [m for row in frames["marked"] if (m := _marked(row, frames, table)) is not None]
    view = replace(base, subject=table.subject, table=table, columns=columns, marked=marked)
    types = {c["name"].lower(): c["base"].lower() for c in columns}
    type_ = types.get(base.age.lower())
    if type_ is None:
        return replace(view, problem=(f"it has no column {base.age}", "correct retain.by in the fleet file"))
    axis = age_axis(policy, keys.TIMES.get(type_, "int8"))
    ageless_column = _no_age(base.age, type_, axis)
    if ageless_column is not None:
        return replace(view, problem=ageless_column)
    facts = next((row for row in frames["facts"] if row["id"] == table.id), {})
    archive = _archive(base.policy_name, frames)
    view = replace(
        view,
        axis=axis,
        cut_off=cut_off(base.policy, axis, base.at, base.server_now),
        indexes=_of(frames["indexes"], table),
        referenced_by=_referring(table, frames),
        ttl=ttl.read(facts.get("options", "")),
        archive=archive,
        archive_kind=_archive_kind(base.policy.into, frames),
        archive_columns=_of(frames["columns"], archive) if archive is not None else (),
        archive_ttl=ttl.read(facts.get("archive_options", "")),
        archive_temporary=bool(facts.get("archive_temporary")),
        archive_cached=bool(facts.get("archive_cached")),
        unique_keys=_of(frames["unique_keys"], table),
        archive_keys=_of(frames["unique_keys"], archive) if archive is not None else (),
        constraints=facts.get("constraints", ()),
        archive_constraints=facts.get("archive_constraints", ()),
        global_index=bool(facts.get("global_index")),
        rows=max(table.rows, facts.get("rows") or 0),
        due=facts.get("due"),
        due_is_least=bool(facts.get("due_is_least")),
        small=bool(facts.get("small")),
        timeless=facts.get("timeless") or 0,
        numbers=facts.get("numbers") or (),
        stuck=[row for row in frames.get("stuck", ()) if row["table_id"] == table.id],
        busy=next((j for j in frames["jobs"] if _is_on(j, table)), None),
    )
    return _with_pieces(view, frames)


def _with_pieces(view: TableView, frames: Frames) -> TableView:
    table, axis = view.table, view.axis
    assert table is not None and axis is not None  # noqa: S101, PT018 - as in _view
    children = [Partition(**row) for row in _of(frames["partitions"], table)]
    if not children:
        return view
    view = replace(view, method=children[0].method, partitions=children)
    key = keys.read_key(children[0].method, children[0].expression)
    if isinstance(key, str) or not names.same(key.column, view.age):
        return view
    column = next(c for c in view.columns if names.same(c["name"], view.age))
    unsigned = "unsigned" in column["type"].lower()
    scale = keys.scale(key, column["base"].lower(), axis.zone, axis.unit, unsigned=unsigned)
    try:
        spans = catalog.read_spans(children, scale)
    except UnknownBoundsError as error:
        return replace(view, odd_bound=str(error))
    finite = [(span, p) for span, p in spans if LOWEST < span.upper < HIGHEST]
    pieces = list(_pieces(finite, frames))
    return replace(view, scale=scale, pieces=pieces)


def _pieces(finite: Sequence[tuple[Span, Partition]], frames: Frames) -> Iterator[Piece]:
    counts = {row["id"]: row for row in frames["counts"]}
    for number, (span, partition) in enumerate(finite):
        counted = counts.get(partition.id)
        rows = counted["rows"] if counted is not None else partition.rows or None
        exact = bool(counted is not None and counted["exact"])
        without = counted["ageless"] if counted is not None else 0
        yield Piece(partition, span, lowest=number == 0, rows=rows, counted=exact, ageless=without)


def _no_age(age: str, type_: str, axis: Axis) -> tuple[str, str] | None:
    if type_ in keys.TIMES:
        return None
    if type_ not in keys.WHOLE_NUMBERS:
        return f"the age column {age} is {type_}, no time", "name a date, datetime, timestamp or epoch column"
    if axis.unit in ("seconds", "milliseconds", "microseconds"):
        return None
    text = f"the age column {age} is a whole number, and nothing says what it counts"
    return text, "declare retain.unit: seconds, milliseconds or microseconds since 1970"


def _of(rows: Sequence[Mapping[str, Any]], table: Table) -> list[Mapping[str, Any]]:
    return [row for row in rows if (row["schema"], row["table"]) == (table.schema, table.name)]


def _is_on(job: Mapping[str, Any], table: Table) -> bool:
    return names.same(str(job["schema"]), table.schema) and names.same(str(job["table"]), table.name)


def _referring(table: Table, frames: Frames) -> list[Mapping[str, Any]]:
    """Return one row for each foreign key that refers to the table, with lists of columns."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in frames["foreign_keys"]:
        if not (names.same(row["referenced_schema"], table.schema) and names.same(row["referenced_table"], table.name)):
            continue
        known = found.setdefault(
            (row["schema"], row["table"], row["name"]),
            {**{k: row[k] for k in ("schema", "table", "name", "on_delete")}, "columns": [], "referenced": []},
        )
        known["columns"].append(row["column"])
        known["referenced"].append(row["referenced_column"])
    return list(found.values())


def _marked(row: Mapping[str, Any], frames: Frames, table: Table) -> Marked | None:
    marker = read_marker(row["comment"])
    if marker is None or marker.get("parent_oid") != table.id:
        return None
    oid = str(marker.get("oid"))
    evidence = next((dict(m) for m in frames["memory"] if str(m["oid"]) == oid), {})
    known = bool(evidence) or any(str(i["oid"]) == oid for i in frames["intents"])
    facts = next((r for r in frames.get("kept", ()) if r["id"] == row["id"]), {})
    return Marked(Table(**row), marker, known, evidence, facts)


def _archive_kind(into: str | None, frames: Frames) -> str | None:
    if into is None or not is_table_name(into):
        return None
    return catalog.kind_of(frames.get("no_tables", ()), names.parse(into), frames["server"][0]["database"])


def _archive(policy_name: str, frames: Frames) -> Table | None:
    for row in frames["archives"]:
        if row["policy"] == policy_name:
            return Table(**{key: value for key, value in row.items() if key != "policy"})
    return None
