"""Observed rows made into `TableView`s: which table a policy means, its age column, its cut-off. Pure.

`views` makes them of whatever was read. While a target is being observed they are made once, of the catalog; what is
read later (it depends on them what that is) only completes them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, Self

from upkeep.errors import ConfigurationError
from upkeep.fleet import TablePolicy, Target
from upkeep.jobs.data_retention.cutoff import age_axis, cut_off, moment
from upkeep.jobs.data_retention.marker import read_marker
from upkeep.jobs.partition_creation.limits import misread
from upkeep.model import Json, Observation
from upkeep.postgres import bounds, names
from upkeep.postgres.bounds import Axis, UnknownBoundsError, Value
from upkeep.postgres.catalog import KINDS, Partition, Relation, by_policy
from upkeep.postgres.data_retention.view import Leaf, Marked, Piece, TableView
from upkeep.postgres.names import column_of
from upkeep.postgres.session import Row

TIME_TYPES: Final = ("timestamptz", "timestamp", "date")
WHOLE_NUMBERS: Final = ("int2", "int4", "int8")


def views(observation: Observation, target: Target) -> list[TableView]:
    """Return a view for each table in care, and one for each policy without a table."""
    frames = observation.frames
    lookup = _Lookup.of(frames)
    server = frames["server"][0]
    patterns = {name: names.parse(name) for name in retain_policies(target) if not _bad_name(name)}
    relations = [Relation(**row) for row in frames["relations"]]
    found = by_policy(relations, patterns)
    archives = {(row["schema"], row["name"]) for row in frames["archives"]}
    result: list[TableView] = []
    for name, policy in retain_policies(target).items():
        retain = policy.retain
        if retain is None:
            continue
        base = TableView(
            policy_name=name,
            policy=retain,
            subject=name,
            age=policy.age_column or "",
            quality=policy.quality,
            at=observation.at,
            server_now=moment(server["now"]),
        )
        problem = _bad_name(name)
        if problem:
            result.append(replace(base, problem=(problem, "correct the name in the fleet file")))
        elif not found[name] and not patterns[name].is_glob:
            result.append(replace(base, problem=("the table does not exist", "correct the name, or create the table")))
        meant = found.get(name, ())
        if name in patterns and patterns[name].is_glob:  # an archive is only meant by its name in full
            meant = [relation for relation in meant if (relation.schema, relation.name) not in archives]
        result += [_view(base, policy, relation, lookup) for relation in meant]
    return result


def with_facts(found: Sequence[TableView], observation: Observation, target: Target) -> list[TableView]:
    """Return the views with what was read of columns, foreign keys and privileges.

    A partition key tells the type of the age column, and so do facts: a table without such a key has waited for them.
    """
    lookup, policies = _Lookup.of(observation.frames), retain_policies(target)
    completed = []
    for view in found:
        relation = view.relation
        if relation is None or view.axis is not None:
            completed.append(view if view.problem is not None else _and_facts(view, lookup.facts))
        else:
            completed.append(_view(replace(view, problem=None), policies[view.policy_name], relation, lookup))
    return completed


def _and_facts(view: TableView, facts: Mapping[int, Row]) -> TableView:
    theirs = facts.get(view.archive.oid) if view.archive is not None else None
    return replace(view, facts=facts.get(view.relation.oid) if view.relation else None, archive_facts=theirs)


def with_leaves(found: Sequence[TableView], frames: Mapping[str, list[Row]]) -> list[TableView]:
    """Return the views with the tables that really hold rows; of detached tables, too."""
    leaves = _leaves(frames)
    return [
        view
        if view.problem is not None or view.relation is None
        else replace(view, leaves=leaves.get(view.relation.oid, ()), marked=_with_leaves(view.marked, leaves))
        for view in found
    ]


def with_numbers(found: Sequence[TableView], frames: Mapping[str, list[Row]]) -> list[TableView]:
    """Return the views, with the problem of those whose ages were read and are no times in the unit declared."""
    numbers = {(row["oid"], row["age"]): row["numbers"] for row in frames["numbers"]}
    completed = []
    for view in found:
        known = numbers.get((view.relation.oid, view.age), ()) if view.relation is not None else ()
        wrong = _no_times(view, view.axis, view.pieces, known) if view.axis is not None and known else None
        completed.append(view if wrong is None else replace(view, problem=wrong))
    return completed


def retain_policies(target: Target) -> dict[str, TablePolicy]:
    """Return the policies that say something about retention."""
    return {name: policy for name, policy in target.subjects().items() if policy.retain is not None}


def _bad_name(name: str) -> str | None:
    try:
        names.parse(name)
    except ConfigurationError as error:
        return str(error)
    return None


def _within(axis: Axis, place: Value) -> Value:
    """Return a cut-off that the column's type can say: beyond its end, its last value."""
    return place if axis.end is None or place < axis.end else axis.read(str(axis.last))


@dataclass(frozen=True, slots=True)
class _Lookup:
    """The frames, arranged for finding: thousands of partitions are looked through once, not once for each table."""

    archives: Mapping[str, Relation]
    facts: Mapping[int, Row]
    partitions: Mapping[int, list[Row]]
    branches: Mapping[int, Relation]
    leaves: Mapping[int, list[Leaf]]
    marked: Sequence[Marked]
    references: Mapping[int, list[Row]]
    held: Mapping[int, Row]
    begun: frozenset[int]
    reattached: frozenset[int]
    files: Mapping[tuple[str, int], Row]
    numbers: Mapping[tuple[int, str], Sequence[int]]
    staying: Mapping[int, Row]

    @classmethod
    def of(cls, frames: Mapping[str, list[Row]]) -> Self:
        marked = marks(frames)
        return cls(
            archives={
                row["policy"]: Relation(**{key: value for key, value in row.items() if key != "policy"})
                for row in frames["archives"]
            },
            facts={row["oid"]: row for row in frames["facts"]},
            partitions=_by("parent", frames["partitions"]),
            branches={row["oid"]: Relation(**row) for row in frames["branches"]},
            leaves=_leaves(frames),
            marked=marked,
            references=_by("root", frames["references"]),
            staying={row["oid"]: row for row in frames.get("staying", ())},
            held={row["oid"]: row for row in frames.get("held", ())},
            numbers={(row["oid"], row["age"]): row["numbers"] for row in frames.get("numbers", ())},
            begun=_begun(frames),
            reattached=frozenset(
                m.oid for m in marked if m.is_partition and not m.detach_pending and m.marker.get("state") == "detached"
            ),
            files={(row["policy"], row["oid"]): row for row in frames.get("files", ())},
        )


def _by(column: str, rows: Sequence[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(row[column], []).append(row)
    return found


def _view(base: TableView, policy: TablePolicy, relation: Relation, lookup: _Lookup) -> TableView:
    archive = lookup.archives.get(base.policy_name)
    view = replace(base, subject=relation.subject, relation=relation, archive=archive)
    if relation.kind not in ("r", "p"):
        kind = KINDS.get(relation.kind, "something else")
        problem = (
            f"it is {kind}, no table: its rows are not its own to delete",
            "name the table itself in the fleet file",
        )
        return replace(view, problem=problem)
    facts = lookup.facts.get(relation.oid)
    found = age_type(relation, facts, view.age) or _type_below(relation, view.age, lookup)
    if found is None:
        return replace(view, problem=(f"it has no column {view.age}", "correct retain.by in the fleet file"))
    axis = replace(age_axis(policy, found), last=bounds.LAST.get(found))
    ageless = _no_age(view.age, axis)
    if ageless is not None:
        return replace(view, problem=ageless)
    pieces = _pieces(relation, view.age, axis, lookup)
    wrong = _no_times(view, axis, pieces, lookup.numbers.get((relation.oid, view.age), ()))
    if wrong is not None:
        return replace(view, axis=axis, problem=wrong)
    below = policy.partition.subpartition if policy.partition is not None else None
    return replace(
        view,
        axis=axis,
        cut_off=_within(axis, cut_off(base.policy, axis, base.at, base.server_now)),
        facts=facts,
        archive_facts=lookup.facts.get(archive.oid) if archive else None,
        archive_bounds=_archive_bounds(archive, view.age, axis, lookup.partitions),
        pieces=pieces,
        tells_age=tells_age(relation, view.age)
        or any(p.parent.oid != relation.oid for p in pieces)
        or (not pieces and below is not None and below is policy.ranges),
        leaves=lookup.leaves.get(relation.oid, ()),
        marked=_with_leaves([m for m in lookup.marked if _is_of(m.marker, relation)], lookup.leaves),
        referenced_pieces={r["partition"]: r["referencing"] for r in lookup.references.get(relation.oid, ())},
        open_rows={oid: row for p in pieces if (row := lookup.staying.get(oid := p.partition.oid))},
        undroppable=lookup.held,
        begun=lookup.begun,
        reattached=lookup.reattached,
        files=lookup.files.get((base.policy_name, relation.oid)),
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


def _no_times(view: TableView, axis: Axis, pieces: Sequence[Piece], numbers: Sequence[int]) -> tuple[str, str] | None:
    """Return that bounds or values are no times in the unit declared; today's rows would be due, or none ever."""
    places = [place for piece in pieces for place in (piece.lower, piece.upper) if place is not None]
    places += [axis.read(str(number)) for number in numbers]
    found = misread(view.subject, view.age, axis, places, "values" if numbers else "bounds")
    return (found.summary, found.remedy or "") if found is not None else None


@lru_cache(maxsize=65_536)
def _span(text: str, axis: Axis) -> tuple[Value, Value] | None:
    try:
        return bounds.read(text, axis)
    except UnknownBoundsError:
        return None


def tells_age(relation: Relation, age: str) -> bool:
    """Return whether the partitions of a table are ranges of the age column."""
    return relation.strategy == "r" and list(relation.key_columns) == [column_of(age)]


def _pieces(relation: Relation, age: str, axis: Axis, lookup: _Lookup) -> list[Piece]:
    """Return the partitions that tell the age, on the first or else the second level; and the others on the first."""
    partitions = [Partition(**row) for row in lookup.partitions.get(relation.oid, ())]
    if tells_age(relation, age):
        return [_piece(partition, axis, relation) for partition in partitions]
    found: list[Piece] = []
    for partition in partitions:
        branch = lookup.branches.get(partition.oid)
        if branch is None or partition.detach_pending or not tells_age(branch, age):
            found.append(_piece(partition, None, relation))
            continue
        found += [_piece(Partition(**row), axis, branch) for row in lookup.partitions.get(branch.oid, ())]
    return found


def _type_below(relation: Relation, age: str, lookup: _Lookup) -> str | None:
    branches = [lookup.branches.get(row["oid"]) for row in lookup.partitions.get(relation.oid, ())]
    return next((b.key_types[0] for b in branches if b is not None and tells_age(b, age)), None)


def _piece(partition: Partition, axis: Axis | None, parent: Relation) -> Piece:
    span = None if axis is None or partition.bounds is None else _span(partition.bounds, axis)
    lower, upper = span or (None, None)
    return Piece(partition, lower, upper, parent)


def _leaves(frames: Mapping[str, list[Row]]) -> dict[int, list[Leaf]]:
    due = {row["oid"]: row for row in frames["due"]}
    return {
        root: [_leaf(row, due.get(row["oid"])) for row in rows] for root, rows in _by("root", frames["leaves"]).items()
    }


def _with_leaves(marked: Sequence[Marked], leaves: Mapping[int, Sequence[Leaf]]) -> list[Marked]:
    return [replace(one, leaves=leaves.get(one.oid, ())) for one in marked]


def _leaf(row: Row, counted: Row | None) -> Leaf:
    due: dict[str, Any] = {}
    if counted is not None:
        due = {key: counted[key] for key in ("due", "due_is_least", "first", "referenced", "writers")}
    fields = (
        "oid",
        "schema",
        "name",
        "kind",
        "path",
        "detach_pending",
        "pages",
        "rows",
        "ordered",
        "brin",
        "autovacuum_off",
    )
    known: dict[str, Any] = {key: row[key] for key in fields}
    if known["rows"] is None and counted is not None:
        known["rows"] = counted["rows"]
    return Leaf(**known, **due)


def marks(frames: Mapping[str, list[Row]]) -> list[Marked]:
    """Return all tables with our marker, whatever policy they belong to."""
    memory = {int(row["oid"]): row for row in frames["memory"]}
    found = [_marked(row, memory.get(row["oid"]), _begun(frames)) for row in frames["marked"]]
    return [marked for marked in found if marked is not None]


def _begun(frames: Mapping[str, list[Row]]) -> frozenset[int]:
    return frozenset(int(row["oid"]) for row in frames["intents"] if row["kind"] == "detach_partition" and row["oid"])


def _marked(row: Row, evidence: Row | None, begun: Collection[int]) -> Marked | None:
    marker = read_marker(row["marker"])
    if marker is None:
        return None
    fields = (
        *("oid", "schema", "name", "kind", "is_partition", "detach_pending", "rows", "pages"),
        *("owner", "owner_is_superuser"),
        *("may_alter", "foreign_keys", "dependants", "objects", "not_empty", "counted", "uncounted", "younger"),
    )
    known = evidence is not None or row["oid"] in begun
    return Marked(**{key: row[key] for key in fields}, marker=marker, known=known, evidence=evidence or {})


def _is_of(marker: Json, relation: Relation) -> bool:
    if "root_oid" in marker:
        return bool(marker["root_oid"] == relation.oid)
    if "parent_oid" in marker:
        return bool(marker["parent_oid"] == relation.oid)
    return bool(marker["detached_from"] == relation.subject)


def _archive_bounds(
    archive: Relation | None, age: str, axis: Axis, partitions: Mapping[int, list[Row]]
) -> Sequence[tuple[Value, Value]] | None:
    """Return the ranges that a range-partitioned archive takes; ``None``: everything, or one cannot tell."""
    if archive is None or archive.kind != "p" or archive.strategy != "r" or archive.default_oid:
        return None
    if list(archive.key_columns) != [column_of(age)]:
        return None
    ranges: list[tuple[Value, Value]] = []
    for row in partitions.get(archive.oid, ()):
        span = None if row["bounds"] is None else _span(row["bounds"], axis)
        if span is not None:
            ranges.append(span)
    return ranges
