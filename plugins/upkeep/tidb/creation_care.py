"""What partition creation makes of each policy's table: can it be extended, and what is missing. Pure.

Used three times on the same observation: while it is read (to know what else to ask), to plan, and for the
gates. RANGE partitions of TiDB have upper bounds only, so there are no gaps between them, and a new partition
takes everything from the last bound on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from upkeep.fleet import PartitionPolicy
from upkeep.partitioning.axis import HIGHEST, LOWEST, UnknownBoundsError, Value
from upkeep.partitioning.layout import Layout, Span, Wish, layout
from upkeep.plan import Finding, FindingStatus, Severity
from upkeep.retention.cutoff import kept_from, moment
from upkeep.tidb import catalog, keys, names
from upkeep.tidb.catalog import Partition, Table
from upkeep.tidb.keys import Scale

if TYPE_CHECKING:
    from upkeep.fleet import TablePolicy, Target

Frames: TypeAlias = Mapping[str, Sequence[Mapping[str, Any]]]

INTERVAL_NAME: Final = "P_LT_"
"""How TiDB names the partitions of an INTERVAL partitioned table; nothing else in the catalog tells."""
INTERVAL_ENDS: Final = ("P_NULL", "P_MAXVALUE")


@dataclass(frozen=True, slots=True)
class Care:
    """One policy's table, or why there is none that can be extended.

    Attributes
    ----------
    later
        ``problem`` is only that this is not available.
    partitions
        Those with a finite upper bound, with their spans, in order.
    maxvalue
        The partition that takes everything above the last bound.
    max_rows, max_inside
        Rows in it, counted up to one more than may be moved; and how many of them belong to new partitions.
        ``None`` when they could not be counted.
    """

    key: str
    subject: str
    policy: PartitionPolicy
    table: Table | None = None
    problem: Finding | None = None
    later: bool = False
    scale: Scale | None = None
    layout: Layout | None = None
    partitions: tuple[tuple[Span, Partition], ...] = ()
    maxvalue: Partition | None = None
    max_rows: int | None = 0
    max_inside: int | None = 0

    @property
    def last(self) -> Value:
        """The last finite bound."""
        return self.partitions[-1][0].upper if self.partitions else LOWEST

    @property
    def new_bounds(self) -> list[Value]:
        """The bounds to add, ascending, at most as many as the policy allows.

        Where there are more, the oldest are left out: the first new partition reaches down to the last bound anyway,
        and nothing could be written there while no partition took it.
        """
        if self.layout is None:
            return []
        bounds = sorted({span.upper for span in self.layout.missing if span.upper > self.last})
        if bounds and not self.partitions and self.layout.current < bounds[0]:
            bounds.insert(0, self.layout.current)  # older rows get a partition of their own
        return bounds[-self.policy.max_creations :]

    @property
    def left_out(self) -> int:
        """How many bounds the cap leaves out."""
        if self.layout is None:
            return 0
        return max(len({s.upper for s in self.layout.missing if s.upper > self.last}) - self.policy.max_creations, 0)

    @property
    def is_interval(self) -> bool:
        """Whether it looks as INTERVAL partitioning makes it."""
        known = [p.name for _, p in self.partitions]
        return bool(known) and all(n.startswith(INTERVAL_NAME) or n in INTERVAL_ENDS for n in known)


@dataclass(frozen=True, slots=True)
class _Known:
    frames: Frames
    at: datetime
    now: datetime
    database: str

    def of(self, frame: str, table: Table) -> list[Mapping[str, Any]]:
        return [r for r in self.frames.get(frame, ()) if (r["schema"], r["table"]) == (table.schema, table.name)]

    def one(self, frame: str, table: Table) -> Mapping[str, Any]:
        return next((row for row in self.frames.get(frame, ()) if row["id"] == table.id), {})


def cares(frames: Frames, target: Target, at: datetime) -> list[Care]:
    """Return every table of every ``partition`` policy, in the fleet file's order."""
    declared = {key: policy for key, policy in target.subjects().items() if policy.partition is not None}
    patterns = {key: names.parse(key) for key in declared}
    server = frames["server"][0]
    known = _Known(frames, at, moment(server["now"]), server["database"])
    found = catalog.by_policy([Table(**row) for row in frames["tables"]], patterns, known.database)
    result: list[Care] = []
    for key, policy in declared.items():
        if not found[key]:
            result.append(_absent(key, policy, patterns[key], known.database))
        result += [_care(key, policy, table, known) for table in found[key]]
    return result


def finding(check: str, subject: str, severity: Severity, summary: str, **rest: Any) -> Finding:
    """Return something that was seen and matters (``evidence``, ``remedy``)."""
    state = FindingStatus.FINDING
    return Finding(check=check, subject=subject, status=state, severity=severity, summary=summary, **rest)


def _absent(key: str, policy: TablePolicy, pattern: names.Pattern, database: str) -> Care:
    assert isinstance(policy.partition, PartitionPolicy)  # noqa: S101 - the fleet file has no other on TiDB
    if pattern.is_glob:
        text = f"no table matches {key}"
        problem = finding("table_exists", key, Severity.WARNING, text, remedy="correct the pattern")
        return Care(key, key, policy.partition, problem=problem, later=True)
    subject = str(pattern.exact(database)) if pattern.schema or database else key
    remedy = "correct the name in the fleet file (write it as in SQL), or create the table"
    problem = finding("table_exists", subject, Severity.ERROR, f"{subject} does not exist", remedy=remedy)
    return Care(key, subject, policy.partition, problem=problem)


def _care(key: str, policy: TablePolicy, table: Table, known: _Known) -> Care:
    part = policy.partition
    assert isinstance(part, PartitionPolicy)  # noqa: S101 - the fleet file has no other on TiDB
    base = Care(key, table.subject, part, table)
    children = [Partition(**row) for row in known.of("partitions", table)]
    if not children:
        return replace(base, problem=_plain(table, part))
    scaled = _scale(table, part, children, known)
    if isinstance(scaled, Finding):
        return replace(base, problem=scaled, later=scaled.status is FindingStatus.NOT_AVAILABLE)
    try:
        spans = read_spans(children, scaled)
    except UnknownBoundsError as error:
        text = f"bounds not understood: {error}"
        return replace(base, problem=finding("bounds", table.subject, Severity.ERROR, text, remedy="report this"))
    finite = tuple((span, p) for span, p in spans if span.upper < HIGHEST)
    highest = known.one("ids", table)
    if scaled.axis.is_id and highest.get("unknown"):
        return replace(base, problem=_unknown_ids(table, highest["unknown"]), later=True)
    wish = _wish(policy, scaled, finite, known, highest.get("at"))
    counted = known.one("maxvalue", table)
    return replace(
        base,
        scale=scaled,
        layout=layout([s for s, _ in finite], wish, scaled.axis),
        partitions=finite,
        maxvalue=next((p for span, p in spans if span.upper == HIGHEST), None),
        max_rows=counted.get("rows", 0),
        max_inside=counted.get("inside", 0),
    )


def read_spans(children: Iterable[Partition], scale: Scale) -> list[tuple[Span, Partition]]:
    """Return each partition with its span: from the bound below it to its own. Raises `UnknownBoundsError`."""
    ordered = sorted(children, key=lambda p: p.place)
    uppers = [scale.read(p.upper_bound) for p in ordered]
    lowers = [LOWEST, *uppers]
    return [(Span(low, high), p) for low, high, p in zip(lowers, uppers, ordered, strict=False)]


def _scale(table: Table, part: PartitionPolicy, children: Sequence[Partition], known: _Known) -> Scale | Finding:
    """Return the scale of the table's key, or why it cannot be extended by this policy."""
    key = keys.read_key(children[0].method, children[0].expression)
    if isinstance(key, str):
        return _not_yet(table.subject, f"{table.subject} is {key}: recognised, its partitions are not created")
    if not keys.same_column(key.column, part.by):
        text = f"{table.subject} is partitioned by {key.column}, but the policy says by: {part.by}"
        remedy = f"write by: {names.quote(key.column)}"
        return finding("partition_key", table.subject, Severity.ERROR, text, remedy=remedy)
    types = {row["name"].lower(): row["base"].lower() for row in known.of("columns", table)}
    type_ = types.get(key.column.lower(), "?")
    against = keys.unfit(key, type_, part.every, part.unit)
    if against is not None:
        return finding("policy", table.subject, Severity.ERROR, against[0], remedy=against[1])
    if table.sharding and "AUTO_RANDOM" in table.sharding and isinstance(part.every, int):
        text = f"{table.subject} has AUTO_RANDOM ids: they do not grow, so there is no next partition"
        return finding("policy", table.subject, Severity.ERROR, text, remedy="partition by a time column")
    return keys.scale(key, type_, part.zone, "id" if isinstance(part.every, int) else part.unit)


def _wish(
    policy: TablePolicy, scale: Scale, spans: Sequence[tuple[Span, Partition]], known: _Known, highest: int | None
) -> Wish:
    part = policy.partition
    assert isinstance(part, PartitionPolicy)  # noqa: S101 - the fleet file has no other on TiDB
    axis, since = scale.axis, _since(part.from_, scale)
    if axis.is_id:  # ids follow no clock: they stand where the data stand
        first = spans[0][0].upper - 1 if spans else 0
        place = highest if highest is not None else since if since is not None else max(first, 0)
        return Wish(every=part.every, ahead=part.ahead, at=place, since=since, limit=part.max_creations)
    keep_after = None
    retain = policy.retain
    if retain is not None and names.same(retain.by or part.by, part.by):
        keep_after = kept_from(retain, axis, known.now)
    at = axis.of(known.at)
    return Wish(every=part.every, ahead=part.ahead, at=at, since=since, keep_after=keep_after, limit=part.max_creations)


def _since(value: datetime | date | int | None, scale: Scale) -> Value | None:
    if value is None or (isinstance(value, int) and scale.axis.is_id):
        return value
    if isinstance(value, int):
        return scale.axis.read(str(value)) if scale.type in keys.WHOLE_NUMBERS else None
    instant = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)  # noqa: DTZ001
    return scale.axis.of(instant.replace(tzinfo=scale.axis.zone) if instant.tzinfo is None else instant)


def regular(care: Care) -> bool:
    """Return whether the bounds there are and those to come follow the policy's periods one by one."""
    if care.scale is None or len(care.partitions) < 2:  # noqa: PLR2004 - TiDB itself needs two to tell the interval
        return False
    bounds = [span.upper for span, _ in care.partitions[-2:]] + care.new_bounds
    return all(care.scale.axis.following(low, care.policy.every) == high for low, high in pairwise(bounds))


def with_maxvalue(found: Sequence[Care]) -> Iterator[tuple[Care, Partition]]:
    """Yield the tables that have a MAXVALUE partition, and that."""
    for care in found:
        if care.maxvalue is not None:
            yield care, care.maxvalue


def _plain(table: Table, part: PartitionPolicy) -> Finding:
    by = names.quote(names.column(part.by))
    text = f"{table.subject} is a plain table, not partitioned"
    remedy = (
        f"alter table {table.subject} partition by range columns ({by}) (partition p_first values less than ('…')): "
        f"TiDB converts it online; {by} must be part of its primary key and of every unique key. Or take 'partition' "
        "out of the policy"
    )
    return finding("partitioned", table.subject, Severity.ERROR, text, remedy=remedy)


def _unknown_ids(table: Table, why: str) -> Finding:
    return _not_yet(table.subject, f"the highest id of {table.subject} is unknown: {why}")


def _not_yet(subject: str, summary: str) -> Finding:
    return Finding(
        check="partition_strategy",
        subject=subject,
        status=FindingStatus.NOT_AVAILABLE,
        severity=Severity.INFO,
        summary=summary,
        remedy="partition it by range of one column, or take 'partition' out of the policy",
    )
