"""What partition creation makes of each policy's table: can it be extended, and what is missing. Pure.

Used three times on the same observation: while it is read (to know what else to ask), to plan, and for
the gates.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from upkeep.errors import ConfigurationError
from upkeep.intervals import shift
from upkeep.plan import Finding, FindingStatus, Severity
from upkeep.postgres import bounds, catalog, names
from upkeep.postgres.bounds import Axis, UnknownBoundsError, Value
from upkeep.postgres.catalog import Relation
from upkeep.postgres.partition_plan import Layout, Span, Wish, layout

if TYPE_CHECKING:
    from upkeep.fleet import PartitionPolicy, TablePolicy, Target

Frames: TypeAlias = Mapping[str, Sequence[Mapping[str, Any]]]

TIME_TYPES: Final = ("timestamptz", "timestamp", "date")
INTEGER_TYPES: Final = ("int2", "int4", "int8")
_DAY_SECONDS: Final = 86_400
_CHILDLESS: Final[Mapping[str, Any]] = {
    "oids": (),
    "bounds": (),
    "has_parents": False,
    "pending_schemas": None,
    "pending_names": None,
    "default_oid": None,
    "default_schema": None,
    "default_name": None,
}


class Default(NamedTuple):
    """A default partition."""

    oid: int
    schema: str
    name: str

    @property
    def subject(self) -> str:
        """The name as people read it."""
        return names.display(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class Care:
    """One policy's table, or why there is none that can be extended.

    Attributes
    ----------
    key
        The policy's name in the fleet file.
    problem
        Why nothing can be done; `later` when it is only not available yet.
    spans, oids
        Its range partitions in order, those whose detaching is pending included; their object ids.
    pending
        Names of partitions whose detaching is pending.
    """

    key: str
    subject: str
    policy: PartitionPolicy
    relation: Relation | None = None
    problem: Finding | None = None
    later: bool = False
    axis: Axis | None = None
    layout: Layout | None = None
    spans: tuple[Span, ...] = ()
    oids: tuple[int, ...] = ()
    default: Default | None = None
    pending: tuple[str, ...] = ()

    @property
    def to_create(self) -> tuple[Span, ...]:
        """What this run may create: the most urgent, up to the policy's cap."""
        return self.layout.missing[: self.policy.max_creations] if self.layout else ()

    @property
    def model(self) -> int:
        """The table that new partitions are made like: the newest sibling, else the parent itself."""
        assert self.relation is not None  # noqa: S101 - only tables that exist have something missing
        return self.oids[-1] if self.oids else self.relation.oid


@dataclass(slots=True)
class _Known:
    relations: dict[str, list[Relation]]
    at: datetime
    now: datetime
    children: Mapping[int, Mapping[str, Any]]
    highest: Mapping[int, int]
    read: dict[Axis, dict[str, Span]] = field(default_factory=lambda: defaultdict(dict))


def cares(frames: Frames, target: Target, at: datetime) -> list[Care]:
    """Return every table of every ``partition`` policy, in the fleet file's order."""
    declared = {key: policy for key, policy in target.subjects().items() if policy.partition is not None}
    patterns, bad = names.parse_all(declared)
    relations = [Relation(**row) for row in frames["relations"]]
    now = datetime.fromisoformat(frames["server"][0]["now"])
    known = _Known(
        catalog.by_policy(relations, patterns),
        at=at,
        now=now,
        children={row["parent"]: row for row in frames["spans"]},
        highest={row["oid"]: row["at"] for row in frames.get("ids", ())},
    )
    found: list[Care] = []
    for key, policy in declared.items():
        tables = known.relations.get(key, [])
        if key in bad:
            found.append(_misnamed(key, policy, bad[key]))
        elif not tables:
            found.append(_absent(key, policy, patterns[key]))
        found += [_care(key, policy, table, known) for table in sorted(tables, key=lambda t: t.subject)]
    return found


def _misnamed(key: str, policy: TablePolicy, why: str) -> Care:
    assert policy.partition is not None  # noqa: S101 - for the type checker
    problem = _finding("table_exists", key, Severity.ERROR, why, remedy="correct the name in the fleet file")
    return Care(key, key, policy.partition, problem=problem)


def _absent(key: str, policy: TablePolicy, pattern: names.Pattern) -> Care:
    assert policy.partition is not None  # noqa: S101 - for the type checker
    if pattern.is_glob:
        problem = _finding(
            "table_exists", key, Severity.WARNING, f"no table matches {key}", remedy="correct the pattern"
        )
        return Care(key, key, policy.partition, problem=problem, later=True)
    subject = names.display(pattern.schema, pattern.name)
    remedy = "correct the name in the fleet file (write it as in SQL), or create the table"
    problem = _finding("table_exists", subject, Severity.ERROR, f"{subject} does not exist", remedy=remedy)
    return Care(key, subject, policy.partition, problem=problem)


def _care(key: str, policy: TablePolicy, table: Relation, known: _Known) -> Care:
    part = policy.partition
    assert part is not None  # noqa: S101 - for the type checker
    children = known.children.get(table.oid, _CHILDLESS)
    pending = zip(children["pending_schemas"] or (), children["pending_names"] or (), strict=True)
    base = Care(key, table.subject, part, table, pending=tuple(names.display(*p) for p in pending))
    problem, later = _unsupported(table, part, children)
    if problem is not None:
        return replace(base, problem=problem, later=later)
    axis = axis_of(table, part)
    if isinstance(axis, Finding):
        return replace(base, problem=axis)
    try:
        pairs = sorted(_spans(children, axis, known.read[axis]))
    except UnknownBoundsError as error:
        text = f"bounds not understood: {error}"
        problem = _finding("bounds", table.subject, Severity.ERROR, text, remedy="report this")
        return replace(base, problem=problem)
    spans = tuple(span for span, _ in pairs)
    default = Default(*(children[f"default_{column}"] for column in ("oid", "schema", "name")))
    return replace(
        base,
        axis=axis,
        layout=layout(spans, _wish(policy, axis, spans, known, known.highest.get(table.oid)), axis),
        spans=spans,
        oids=tuple(oid for _, oid in pairs),
        default=default if default.oid is not None else None,
    )


def _spans(children: Mapping[str, Any], axis: Axis, read: dict[str, Span]) -> Iterator[tuple[Span, int]]:
    for text, oid in zip(children["bounds"], children["oids"], strict=True):
        span = read.get(text)  # many tables share their bounds
        if span is None and text != "DEFAULT":
            span = read[text] = Span(*bounds.read(text, axis))
        if span is not None:
            yield span, oid


def _wish(policy: TablePolicy, axis: Axis, spans: Sequence[Span], known: _Known, highest: int | None) -> Wish:
    part = policy.partition
    assert part is not None  # noqa: S101 - for the type checker
    since = _since(part.from_, axis)
    if axis.is_id:  # ids follow no clock: they stand where the sequence or the data stand
        first = spans[0].lower if spans else 0
        place = highest if highest is not None else since if since is not None else max(first, 0)
        return Wish(every=part.every, ahead=part.ahead, at=place, since=since, limit=part.max_creations)
    keep_after = None
    retain = policy.retain
    if retain is not None and retain.precision == "partition" and column_of(retain.by or part.by) == column_of(part.by):
        keep_after = axis.of(shift(known.now, retain.for_, retain.zone, -1))
    return Wish(
        every=part.every,
        ahead=part.ahead,
        at=axis.of(known.at),
        since=since,
        keep_after=keep_after,
        limit=part.max_creations,
    )


def _since(value: datetime | date | int | None, axis: Axis) -> Value | None:
    if value is None or (isinstance(value, int) and axis.is_id):
        return value
    if isinstance(value, int):
        return axis.read(str(value)) if axis.type in INTEGER_TYPES else None
    moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)  # noqa: DTZ001
    return axis.of(moment.replace(tzinfo=axis.zone) if moment.tzinfo is None else moment)


def axis_of(table: Relation, part: PartitionPolicy) -> Axis | Finding:
    """Return what the table's partition column counts, or why the policy does not fit it."""
    type_ = table.key_types[0] or ""
    column = table.key_columns[0]
    if type_ in TIME_TYPES and isinstance(part.every, int):
        text = f"{column} is a {type_}, but every: {part.every} is a number of ids"
        return _finding(
            "policy", table.subject, Severity.ERROR, text, remedy="write a length of time, e.g. every: 1 month"
        )
    if type_ == "date" and not isinstance(part.every, int) and part.every.seconds % _DAY_SECONDS:
        text = f"{column} is a date, but every: {part.every} is not whole days"
        return _finding("policy", table.subject, Severity.ERROR, text, remedy="write days or longer")
    if type_ in INTEGER_TYPES and not isinstance(part.every, int) and part.unit is None:
        text = f"{column} is a whole number: the policy does not say what it counts"
        remedy = "add unit: seconds, milliseconds or microseconds (since 1970), or write every as a number of ids"
        return _finding("policy", table.subject, Severity.ERROR, text, remedy=remedy)
    if type_ in TIME_TYPES:
        return Axis(type_, part.zone)
    return Axis(type_, part.zone, "id" if isinstance(part.every, int) else part.unit)


def _unsupported(table: Relation, part: PartitionPolicy, children: Mapping[str, Any]) -> tuple[Finding | None, bool]:
    """Return why the table cannot be extended, and whether that is only not available yet."""
    if table.kind != "p":
        return _not_partitioned(table, part), False
    strategy = catalog.STRATEGIES.get(table.strategy or "", "?")
    reason = None
    if strategy != "range":
        reason = f"partitioned by {strategy}"
    elif len(table.key_columns) > 1:
        reason = f"partitioned by {len(table.key_columns)} columns"
    elif table.key_columns[0] is None:
        reason = "partitioned by an expression"
    elif table.is_partition:
        reason = "itself a partition of another table"
    elif children["has_parents"]:
        reason = "its partitions are partitioned themselves"
    elif table.key_types[0] not in (*TIME_TYPES, *INTEGER_TYPES):
        reason = f"partitioned by a column of type {table.key_types[0]}"
    if reason is not None:
        summary = f"{table.subject} is {reason}: recognised, its partitions are not created yet"
        return _not_yet(table.subject, summary), True
    if column_of(part.by) != table.key_columns[0]:
        text = f"{table.subject} is partitioned by {table.key_columns[0]}, but the policy says by: {part.by}"
        remedy = f"write by: {names.quote(table.key_columns[0] or '')}"
        return _finding("partition_key", table.subject, Severity.ERROR, text, remedy=remedy), False
    return None, False


def _not_partitioned(table: Relation, part: PartitionPolicy) -> Finding:
    if table.kind != "r":
        text = f"{table.subject} is not a table"
        return _finding("partitioned", table.subject, Severity.ERROR, text, remedy="correct the name")
    column = column_of(part.by)
    lacking = [k for k in table.unique_keys if column not in _columns_of(k)]
    text = f"{table.subject} is a plain table, not partitioned; converting it online comes in a later version"
    remedy = (
        f"create a new table partitioned by range ({part.by}) and move the rows, or take 'partition' out of the policy"
    )
    if lacking:
        text += f"; its key {'; '.join(lacking)} lacks the partition column {part.by}, which PostgreSQL demands"
        remedy = f"first make {part.by} part of every primary and unique key; then {remedy}"
    return _finding("partitioned", table.subject, Severity.ERROR, text, remedy=remedy)


def column_of(by: str) -> str:
    """Return the column that a policy names, written as in SQL."""
    try:
        return names.parse(f"x.{by}").name
    except ConfigurationError:
        return by


def _columns_of(key: str) -> list[str]:
    inside = key[key.rindex("(") + 1 : -1] if key.endswith(")") and "(" in key else key
    return [c.strip().strip('"').replace('""', '"') for c in inside.split(",")]


def _not_yet(subject: str, summary: str) -> Finding:
    return Finding(
        check="partition_strategy",
        subject=subject,
        status=FindingStatus.NOT_AVAILABLE,
        severity=Severity.INFO,
        summary=summary,
        remedy="comes in a later version; until then create its partitions by hand",
    )


def _finding(check: str, subject: str, severity: Severity, summary: str, *, remedy: str) -> Finding:
    return Finding(
        check=check,
        subject=subject,
        status=FindingStatus.FINDING,
        severity=severity,
        summary=summary,
        remedy=remedy,
    )


def with_default(cares: Sequence[Care]) -> Iterator[tuple[Care, Default]]:
    """Yield the tables that have a default partition, and that."""
    for care in cares:
        if care.default is not None and care.axis is not None:
            yield care, care.default
