"""What retention decides from: the observed rows, given names and types, one `TableView` for each table in care.

Pure. A row without a time (NULL, or the zero date) is never due; in a partitioned table such rows lie in the
lowest partition, whatever its bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from upkeep.fleet import RetainPolicy, TablePolicy, Target
from upkeep.fleet.location import is_table_name
from upkeep.jobs.data_retention.cutoff import age_axis, cut_off, moment
from upkeep.jobs.data_retention.marker import read_marker
from upkeep.jobs.partition_creation.axis import HIGHEST, LOWEST, Axis, UnknownBoundsError, Value
from upkeep.jobs.partition_creation.layout import Span
from upkeep.model import Json, Observation
from upkeep.tidb import catalog, keys, names, ttl
from upkeep.tidb.catalog import Partition, Table
from upkeep.tidb.data_retention.ages import age_text
from upkeep.tidb.keys import Scale
from upkeep.tidb.ttl import Ttl

Frames = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Piece:
    """A partition with its span, and what was counted in it.

    Attributes
    ----------
    rows
        Counted when few, else what statistics say; ``None`` when neither is known.
    counted
        Whether ``rows`` was counted.
    ageless
        Rows without a time in it (NULL only in the lowest partition); ``None`` when they could not be counted.
    lowest
        Whether rows without a time and everything below the next bound belong here: it is emptied, never removed.
    """

    partition: Partition
    span: Span
    lowest: bool
    rows: int | None = None
    counted: bool = False
    ageless: int | None = 0


@dataclass(frozen=True, slots=True)
class Marked:
    """A table with our marker.

    Attributes
    ----------
    known
        Whether the ledger remembers it.
    evidence
        What the ledger wrote down when it was detached; empty when a killed run had not got that far.
    facts
        What was looked at where nothing else keeps the table: a row of the frame ``kept``.
    """

    table: Table
    marker: Json
    known: bool
    evidence: Json = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def exchanged(self) -> bool:
        """Whether it holds the partition's data; else it is empty, left by a run that was killed."""
        return bool(self.table.id == self.marker.get("oid"))


@dataclass(frozen=True, slots=True)
class TableView:
    """One table in care, or a policy whose table is not there (``table`` is ``None``).

    Attributes
    ----------
    problem
        Why nothing can be decided at all, and the remedy.
    cut_off
        On the axis; rows before it are due.
    scale
        Of the partition key, when partitions tell the age.
    odd_bound
        A bound that is no time (2026-00-10).
    partitions, pieces
        All partitions; and those with finite bounds on the scale.
    rows
        What statistics say, or what was counted where they say too little for the limits.
    due, due_is_least
        Due rows, counted; with ``due_is_least`` there are more and ``due`` is the planner's estimate.
    stuck
        Partitions that do not go and may hold due rows: rows of the frame ``stuck``.
    timeless
        Rows among the first due ones whose date has the month or the day 0.
    numbers
        The least and the greatest age, where the column counts numbers and no bound tells its unit.
    small
        Whether the table has so few rows that it may be read whole.
    archive_kind
        What the archive's name means instead of a table: ``a view``.
    unique_keys, archive_keys, constraints, archive_constraints
        What table and archive ask of their rows: rows of ``unique_keys.sql``, checks and foreign keys.
    archive_ttl, archive_temporary, archive_cached
        What the archive itself forgets: by its own time to live, or at the end of each transaction; or lies in memory.
    global_index
        Whether an index lies over all partitions: then none can be exchanged.
    """

    policy_name: str
    policy: RetainPolicy
    subject: str
    age: str
    at: datetime
    server_now: datetime
    table: Table | None = None
    axis: Axis | None = None
    cut_off: Value | None = None
    problem: tuple[str, str] | None = None
    method: str | None = None
    scale: Scale | None = None
    odd_bound: str | None = None
    columns: Sequence[Mapping[str, Any]] = ()
    indexes: Sequence[Mapping[str, Any]] = ()
    referenced_by: Sequence[Mapping[str, Any]] = ()
    ttl: Ttl | None = None
    ttl_runs: bool = True
    archive: Table | None = None
    archive_kind: str | None = None
    archive_columns: Sequence[Mapping[str, Any]] = ()
    archive_ttl: Ttl | None = None
    archive_temporary: bool = False
    archive_cached: bool = False
    unique_keys: Sequence[Mapping[str, Any]] = ()
    archive_keys: Sequence[Mapping[str, Any]] = ()
    constraints: Sequence[Mapping[str, str]] = ()
    archive_constraints: Sequence[Mapping[str, str]] = ()
    global_index: bool = False
    partitions: Sequence[Partition] = ()
    pieces: Sequence[Piece] = ()
    marked: Sequence[Marked] = ()
    rows: int = 0
    due: int | None = None
    due_is_least: bool = False
    stuck: Sequence[Mapping[str, Any]] = ()
    timeless: int = 0
    numbers: Sequence[int] = ()
    small: bool = False
    busy: Mapping[str, Any] | None = None

    @property
    def is_partitioned(self) -> bool:
        """Whether the table is partitioned."""
        return self.method is not None

    @property
    def by_partition(self) -> bool:
        """Whether whole partitions go: the policy's precision, on a partitioned table."""
        return self.is_partitioned and self.policy.precision == "partition"

    @property
    def due_pieces(self) -> list[Piece]:
        """Partitions all of whose rows with a time are due, oldest first; never the last one."""
        if self.cut_off is None:
            return []
        due = [p for p in self.pieces if p.span.upper <= self.cut_off]
        return due[:-1] if due and len(due) == len(self.pieces) else due

    @property
    def cut_off_text(self) -> str:
        """The cut-off as the text of a value of the age column."""
        return age_text(self.axis, self.cut_off) if self.axis and self.cut_off is not None else ""

    @property
    def nullable(self) -> bool:
        """Whether rows may have no time."""
        return any(names.same(c["name"], self.age) and c["nullable"] for c in self.columns) or self._zero_dates

    @property
    def _zero_dates(self) -> bool:
        return self.axis is not None and not self.axis.type.startswith("int")

    @property
    def ageless(self) -> Json | None:
        """The column and type by which rows without a time are told; ``None`` when there can be none."""
        return {"column": self.age, "type": self.axis.type} if self.nullable and self.axis is not None else None

    @property
    def odd_dates(self) -> bool:
        """Whether the column takes dates whose month or day is 0 (an instant has neither)."""
        return self.axis is not None and self.axis.is_wall

    @property
    def row_key(self) -> list[str]:
        """The columns that make a row unique and order it: the clustered primary key, else the hidden row id."""
        if self.table is not None and self.table.pk_type == "CLUSTERED":
            primary = [row for row in self.indexes if row["name"] == "PRIMARY"]
            return [row["column"] for row in sorted(primary, key=lambda row: row["place"])]
        return ["_tidb_rowid"]

    @property
    def age_index(self) -> str | None:
        """An index that leads with the age column."""
        leading = [r for r in self.indexes if r["place"] == 1 and r["column"]]
        found = [r["name"] for r in leading if names.same(r["column"], self.age)]
        return found[0] if found else None


def policies(target: Target) -> dict[str, TablePolicy]:
    """Return the policies that say something about retention."""
    return {name: policy for name, policy in target.subjects().items() if policy.retain is not None}


def views(observation: Observation, target: Target) -> list[TableView]:
    """Return a view for each table in care, and one for each policy without a table."""
    frames: Frames = observation.frames
    server = frames["server"][0]
    patterns = {name: names.parse(name) for name in policies(target)}
    default = server["database"]
    found = catalog.by_policy([Table(**row) for row in frames["tables"]], patterns, default)
    every = [policy.retain.into for policy in policies(target).values() if policy.retain is not None]
    archives = [names.parse(into) for into in every if into is not None and is_table_name(into)]
    result: list[TableView] = []
    for name, policy in policies(target).items():
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
