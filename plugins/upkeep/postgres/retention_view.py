"""What retention decides from: the observed rows, given names and types, one `TableView` for each table in care.

Pure. The cut-off is worked out here, on the age column's own axis, always on the careful side: a row
whose age is in doubt (a date, an hour that the clock shows twice) counts as the younger.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from upkeep.errors import ConfigurationError
from upkeep.postgres import bounds, names
from upkeep.postgres.bounds import Axis, UnknownBoundsError, Value
from upkeep.postgres.catalog import Partition, Relation, by_policy
from upkeep.retention.cutoff import age_axis, cut_off, moment
from upkeep.retention.marker import read_marker, write_marker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from upkeep.fleet import RetainPolicy, TablePolicy, Target
    from upkeep.plan import Json, Observation
    from upkeep.postgres.session import Row

__all__ = [
    "TIME_TYPES",
    "WHOLE_NUMBERS",
    "Leaf",
    "Marked",
    "Piece",
    "TableView",
    "age_axis",
    "age_type",
    "column_of",
    "cut_off",
    "frames_policies",
    "moment",
    "read_marker",
    "views",
    "write_marker",
]

TIME_TYPES: Final = ("timestamptz", "timestamp", "date")
WHOLE_NUMBERS: Final = ("int2", "int4", "int8")


@dataclass(frozen=True, slots=True)
class Piece:
    """A partition directly below the table, with its bounds on the axis.

    Attributes
    ----------
    lower, upper
        ``None`` when the bounds are not of one time column (list, hash, default, pending).
    """

    partition: Partition
    lower: Value | None
    upper: Value | None

    def is_due(self, cut_off: Value) -> bool:
        """Whether all its rows are due: its upper bound (outside) is not after the cut-off."""
        return self.upper is not None and self.upper <= cut_off


@dataclass(frozen=True, slots=True)
class Leaf:
    """A table that really holds rows: the table itself, or a partition at the lowest level.

    Attributes
    ----------
    rows
        Estimate; ``None`` when nothing is known.
    top
        The partition directly below the table that it belongs to; ``None`` for the table itself.
    ordered
        Whether a btree index leads with the age column.
    brin
        Whether a BRIN index covers it.
    due, due_is_least
        Due rows that may go, counted; with ``due_is_least`` there are more and ``due`` is the planner's estimate.
        ``None`` when not counted.
    first
        The lowest age among the due rows, as text.
    referenced
        Due rows that others refer to.
    writers
        Transactions that wrote the due rows, when these are few.
    """

    oid: int
    schema: str
    name: str
    kind: str
    top: int | None
    detach_pending: bool
    pages: int
    rows: float | None
    ordered: bool
    brin: bool
    due: int | None = None
    due_is_least: bool = False
    first: str | None = None
    referenced: int = 0
    writers: Mapping[str, int] | None = None

    @property
    def subject(self) -> str:
        """The name as people read it."""
        return names.display(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class Marked:
    """A table with our marker: detached by us (or attached again by somebody since)."""

    oid: int
    schema: str
    name: str
    kind: str
    is_partition: bool
    detach_pending: bool
    rows: float
    pages: int
    marker: Json
    may_alter: bool
    foreign_keys: Sequence[str]
    dependants: Sequence[str]
    not_empty: bool
    known: bool

    @property
    def subject(self) -> str:
        """The name as people read it."""
        return names.display(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class TableView:
    """One table in care, or a policy whose table is not there (``relation`` is ``None``).

    Attributes
    ----------
    problem
        Why nothing can be decided at all (the age column is missing or no time, the name is no name …).
    cut_off
        On the axis; rows before it are due.
    server_now
        The server's clock, for grace periods.
    facts, archive_facts
        Rows of ``retention_facts.sql``; ``None`` when they were not needed.
    referenced_pieces
        Partition oid → the table that refers to its rows, or ``None`` when it could not be checked.
    """

    policy_name: str
    policy: RetainPolicy
    subject: str
    age: str
    at: datetime
    server_now: datetime
    relation: Relation | None = None
    axis: Axis | None = None
    cut_off: Value | None = None
    problem: tuple[str, str] | None = None
    facts: Row | None = None
    archive: Relation | None = None
    archive_facts: Row | None = None
    archive_bounds: Sequence[tuple[Value, Value]] | None = None
    pieces: Sequence[Piece] = ()
    leaves: Sequence[Leaf] = ()
    marked: Sequence[Marked] = ()
    referenced_pieces: Mapping[int, str | None] | None = None
    begun: frozenset[int] = frozenset()

    @property
    def is_partitioned(self) -> bool:
        """Whether the table is partitioned."""
        return self.relation is not None and self.relation.kind == "p"

    @property
    def by_partition(self) -> bool:
        """Whether whole partitions go: the policy's precision, on a partitioned table."""
        return self.is_partitioned and self.policy.precision == "partition"

    @property
    def cut_off_text(self) -> str:
        """The cut-off as a literal of the age column."""
        return self.axis.write(self.cut_off) if self.axis and self.cut_off is not None else ""

    @property
    def due_pieces(self) -> list[Piece]:
        """Partitions all of whose rows are due, oldest first."""
        cut_off = self.cut_off
        if cut_off is None:
            return []
        due = [p for p in self.pieces if p.is_due(cut_off) and not p.partition.detach_pending]
        return sorted(due, key=lambda p: p.upper or 0)

    def leaves_below(self, oid: int) -> list[Leaf]:
        """Return the leaves of one partition (itself, when it is a leaf)."""
        return [leaf for leaf in self.leaves if oid in (leaf.oid, leaf.top)]

    def row_leaves(self) -> list[Leaf]:
        """Return the leaves that may hold due rows: whose partition begins before the cut-off, or tells nothing."""
        lowest = {p.partition.oid: p.lower for p in self.pieces if p.lower is not None}
        result = []
        for leaf in self.leaves:
            lower = lowest.get(leaf.top) if leaf.top is not None else None
            if (
                not leaf.detach_pending
                and leaf.pages
                and (lower is None or self.cut_off is None or lower < self.cut_off)
            ):
                result.append(leaf)
        return result

    @property
    def references(self) -> list[Row]:
        """Foreign keys whose rows keep ours from going (NO ACTION, RESTRICT)."""
        return [key for key in (self.facts or {}).get("referenced_by") or [] if key["on_delete"] in ("a", "r")]


def views(observation: Observation, target: Target) -> list[TableView]:
    """Return a view for each table in care, and one for each policy without a table."""
    frames = observation.frames
    server = frames["server"][0]
    patterns = {name: names.parse(name) for name in frames_policies(target) if not _bad_name(name)}
    relations = [Relation(**row) for row in frames["relations"]]
    found = by_policy(relations, patterns)
    result: list[TableView] = []
    for name, policy in frames_policies(target).items():
        retain = policy.retain
        if retain is None:
            continue
        base = TableView(
            policy_name=name,
            policy=retain,
            subject=name,
            age=policy.age_column or "",
            at=observation.at,
            server_now=moment(server["now"]),
        )
        problem = _bad_name(name)
        if problem:
            result.append(replace(base, problem=(problem, "correct the name in the fleet file")))
        elif not found[name] and not patterns[name].is_glob:
            result.append(replace(base, problem=("the table does not exist", "correct the name, or create the table")))
        result += [_view(base, policy, relation, frames) for relation in found.get(name, ())]
    return result


def frames_policies(target: Target) -> dict[str, TablePolicy]:
    """Return the policies that say something about retention."""
    return {name: policy for name, policy in target.subjects().items() if policy.retain is not None}


def column_of(text: str) -> str:
    """Return a column's name as the catalog has it, from how the owner writes it (as in SQL)."""
    stripped = text.strip()
    if len(stripped) > 1 and stripped[0] == stripped[-1] == '"':
        return stripped[1:-1].replace('""', '"')
    return stripped


def _bad_name(name: str) -> str | None:
    try:
        names.parse(name)
    except ConfigurationError as error:
        return str(error)
    return None


def _view(base: TableView, policy: TablePolicy, relation: Relation, frames: Mapping[str, list[Row]]) -> TableView:
    archive = _archive(base.policy_name, frames)
    view = replace(base, subject=relation.subject, relation=relation, archive=archive)
    if relation.kind not in ("r", "p"):
        problem = (f"it is no table (pg_class.relkind {relation.kind})", "name a table in the fleet file")
        return replace(view, problem=problem)
    facts = {row["oid"]: row for row in frames["facts"]}
    found = age_type(relation, facts.get(relation.oid), view.age)
    if found is None:
        return replace(view, problem=(f"it has no column {view.age}", "correct retain.by in the fleet file"))
    axis = age_axis(policy, found)
    ageless = _no_age(view.age, axis)
    if ageless is not None:
        return replace(view, problem=ageless)
    return replace(
        view,
        axis=axis,
        cut_off=cut_off(base.policy, axis, base.at, base.server_now),
        facts=facts.get(relation.oid),
        archive_facts=facts.get(archive.oid) if archive else None,
        archive_bounds=_archive_bounds(archive, view.age, axis, frames),
        pieces=[_piece(Partition(**row), relation, view.age, axis) for row in _of(frames["partitions"], relation.oid)],
        leaves=[_leaf(row, frames) for row in frames["leaves"] if row["root"] == relation.oid],
        marked=[m for row in frames["marked"] if (m := _marked(row, frames)) and _is_of(m.marker, relation)],
        referenced_pieces={r["partition"]: r["referencing"] for r in frames["references"] if r["root"] == relation.oid},
        begun=frozenset(
            int(row["oid"]) for row in frames["intents"] if row["kind"] == "detach_partition" and row["oid"]
        ),
    )


def age_type(relation: Relation, facts: Row | None, age: str) -> str | None:
    """Return the age column's base type, from the partition key or the columns; ``None`` without such a column."""
    name = column_of(age)
    for key, base in zip(relation.key_columns, relation.key_types, strict=False):
        if key == name and base is not None:
            return base
    if facts is None:
        return None
    return next((c["base"] for c in facts["columns"] or () if c["name"] == name), None)


def _no_age(age: str, axis: Axis) -> tuple[str, str] | None:
    if axis.type in WHOLE_NUMBERS:
        if axis.unit in ("seconds", "milliseconds", "microseconds"):
            return None
        return (
            f"the age column {age} is a whole number, and nothing says what it counts",
            "declare retain.unit: seconds, milliseconds or microseconds since 1970",
        )
    if axis.type in TIME_TYPES:
        return None
    return f"the age column {age} is {axis.type}, no time", "name a date, timestamp or epoch column in retain.by"


def _of(rows: Sequence[Row], parent: int) -> list[Row]:
    return [row for row in rows if row["parent"] == parent]


def _piece(partition: Partition, relation: Relation, age: str, axis: Axis) -> Piece:
    if relation.strategy != "r" or list(relation.key_columns) != [column_of(age)] or partition.bounds is None:
        return Piece(partition, None, None)
    try:
        lower, upper = bounds.read(partition.bounds, axis)
    except UnknownBoundsError:
        return Piece(partition, None, None)
    return Piece(partition, lower, upper)


def _leaf(row: Row, frames: Mapping[str, list[Row]]) -> Leaf:
    counted = next((d for d in frames["due"] if d["oid"] == row["oid"]), None)
    due: dict[str, Any] = {}
    if counted is not None:
        due = {key: counted[key] for key in ("due", "due_is_least", "first", "referenced", "writers")}
    fields = ("oid", "schema", "name", "kind", "top", "detach_pending", "pages", "rows", "ordered", "brin")
    known: dict[str, Any] = {key: row[key] for key in fields}
    if known["rows"] is None and counted is not None:
        known["rows"] = counted["rows"]
    return Leaf(**known, **due)


def _marked(row: Row, frames: Mapping[str, list[Row]]) -> Marked | None:
    marker = read_marker(row["marker"])
    if marker is None:
        return None
    remembered = {str(m["oid"]) for m in frames["memory"]}
    remembered |= {str(i["oid"]) for i in frames["intents"] if i["kind"] == "detach_partition"}
    fields = (
        *("oid", "schema", "name", "kind", "is_partition", "detach_pending", "rows", "pages"),
        *("may_alter", "foreign_keys", "dependants", "not_empty"),
    )
    return Marked(**{key: row[key] for key in fields}, marker=marker, known=str(row["oid"]) in remembered)


def _is_of(marker: Json, relation: Relation) -> bool:
    if "parent_oid" in marker:
        return bool(marker["parent_oid"] == relation.oid)
    return bool(marker["detached_from"] == relation.subject)


def _archive(policy_name: str, frames: Mapping[str, list[Row]]) -> Relation | None:
    for row in frames["archives"]:
        if row["policy"] == policy_name:
            return Relation(**{key: value for key, value in row.items() if key != "policy"})
    return None


def _archive_bounds(
    archive: Relation | None, age: str, axis: Axis, frames: Mapping[str, list[Row]]
) -> Sequence[tuple[Value, Value]] | None:
    """Return the ranges that a range-partitioned archive takes; ``None``: everything, or one cannot tell."""
    if archive is None or archive.kind != "p" or archive.strategy != "r" or archive.default_oid:
        return None
    if list(archive.key_columns) != [column_of(age)]:
        return None
    ranges: list[tuple[Value, Value]] = []
    for row in _of(frames["partitions"], archive.oid):
        if row["bounds"] is None:
            continue
        try:
            ranges.append(bounds.read(row["bounds"], axis))
        except UnknownBoundsError:
            return None
    return ranges
