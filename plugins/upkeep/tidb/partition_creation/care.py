"""What partition creation makes of each policy's table: can it be extended, and what is missing. Pure.

In two steps, because what the catalog tells decides what else is asked: `seen` reads keys and bounds, `complete` adds
where each table stands and what it lacks. While an observation is read, rows are looked at between the two; to plan,
and for the gates, `cares` does both.

RANGE partitions of TiDB have upper bounds only, so there are no gaps between them, and a new partition takes everything
from the last bound on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import pairwise
from typing import Any, Final, TypeAlias

from upkeep.fleet import PartitionPolicy, TablePolicy, Target
from upkeep.jobs.data_retention.cutoff import kept_from, moment
from upkeep.jobs.partition_creation import limits
from upkeep.jobs.partition_creation.axis import HIGHEST, LOWEST, UnknownBoundsError, Value
from upkeep.jobs.partition_creation.layout import Layout, Span, Wish, layout
from upkeep.model import Finding, FindingStatus, Severity
from upkeep.tidb import catalog, keys, names
from upkeep.tidb.catalog import NAME_A_TABLE, Partition, Table, read_spans
from upkeep.tidb.keys import Scale

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
    is_other
        It is there, and no table: a view, a sequence.
    place
        Where the clock stands, or the highest id.
    partitions
        Those with a finite upper bound, with their spans, in order; and one up to MAXVALUE where that is no more than
        the last period that the column's type has room for.
    maxvalue
        Another partition that takes everything above the last bound.
    max_rows, max_inside
        Rows in `divided`, counted up to one more than may be moved; and how many of them belong to new partitions.
        ``None`` when they could not be counted.
    """

    policy_name: str
    subject: str
    policy: PartitionPolicy
    table: Table | None = None
    problem: Finding | None = None
    later: bool = False
    is_other: bool = False
    scale: Scale | None = None
    layout: Layout | None = None
    place: Value = 0
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
        bounds = sorted(b for b in self._wanted if not (self.maxvalue and self.scale and self.scale.is_end(b)))
        if bounds and self.last <= LOWEST and self.layout.current < bounds[0]:
            bounds.insert(0, self.layout.current)  # older rows get a partition of their own
        return bounds[-self.policy.max_creations :]

    @property
    def left_out(self) -> int:
        """How many bounds the cap leaves out."""
        return max(len(self._wanted) - self.policy.max_creations, 0)

    @property
    def _wanted(self) -> set[Value]:
        return {s.upper for s in self.layout.missing if s.upper > self.last} if self.layout is not None else set()

    @property
    def divided(self) -> Partition | None:
        """The partition that must be divided to make new ones, because nothing can be added after it."""
        if self.maxvalue is not None or self.scale is None or not self.partitions:
            return self.maxvalue
        can_add = self.scale.can_add
        return None if all(map(can_add, [self.last, *self.new_bounds])) else self.partitions[-1][1]

    @property
    def is_interval(self) -> bool:
        """Whether it looks as INTERVAL partitioning makes it."""
        known = [p.name for _, p in self.partitions]
        return bool(known) and all(n.startswith(INTERVAL_NAME) or n in INTERVAL_ENDS for n in known)


@dataclass(frozen=True, slots=True)
class Lookup:
    """The frames, also while they are still being read, and what the fleet file declares."""

    frames: Frames
    declared: Mapping[str, TablePolicy]
    at: datetime
    now: datetime
    database: str

    @classmethod
    def of(cls, frames: Frames, target: Target, at: datetime) -> Lookup:
        """Return what is known of a target whose frames ``server`` and ``tables`` are read."""
        declared = {key: policy for key, policy in target.subjects().items() if policy.partition is not None}
        server = frames["server"][0]
        return cls(frames, declared, at, moment(server["now"]), server["database"])

    def rows(self, frame: str, table: Table) -> list[Mapping[str, Any]]:
        """Return a frame's rows about a table."""
        return [r for r in self.frames.get(frame, ()) if (r["schema"], r["table"]) == (table.schema, table.name)]

    def one(self, frame: str, table: Table) -> Mapping[str, Any]:
        """Return a frame's only row about a table; empty when nothing was asked."""
        return next((row for row in self.frames.get(frame, ()) if row["id"] == table.id), {})


def cares(frames: Frames, target: Target, at: datetime) -> list[Care]:
    """Return every table of every ``partition`` policy, in the fleet file's order."""
    lookup = Lookup.of(frames, target, at)
    return [complete(care, lookup) for care in seen(lookup)]


def seen(lookup: Lookup) -> list[Care]:
    """Return the same, as far as the catalog alone tells: without layout, and without what was counted."""
    patterns = {key: names.parse(key) for key in lookup.declared}
    found = catalog.by_policy([Table(**row) for row in lookup.frames["tables"]], patterns, lookup.database)
    result: list[Care] = []
    for key, policy in lookup.declared.items():
        if not found[key]:
            kind = catalog.kind_of(lookup.frames.get("no_tables", ()), patterns[key], lookup.database)
            result.append(_absent(key, policy, patterns[key], lookup.database, kind))
        result += [_seen(key, policy, table, lookup) for table in found[key]]
    return result


def _absent(key: str, policy: TablePolicy, pattern: names.Pattern, database: str, kind: str | None) -> Care:
    assert isinstance(policy.partition, PartitionPolicy)  # noqa: S101 - the fleet file has no other on TiDB
    if pattern.is_glob:
        text = f"no table matches {key}"
        problem = Finding.of("table_exists", key, Severity.WARNING, text, remedy="correct the pattern")
        return Care(key, key, policy.partition, problem=problem, later=True)
    subject = str(pattern.exact(database)) if pattern.schema or database else key
    if kind is not None:
        text = f"{subject} is {kind}, not a table: it has no partitions"
        problem = Finding.of("table_exists", subject, Severity.ERROR, text, remedy=NAME_A_TABLE)
        return Care(key, subject, policy.partition, problem=problem, is_other=True)
    remedy = "correct the name in the fleet file (write it as in SQL), or create the table"
    problem = Finding.of("table_exists", subject, Severity.ERROR, f"{subject} does not exist", remedy=remedy)
    return Care(key, subject, policy.partition, problem=problem)


def _seen(key: str, policy: TablePolicy, table: Table, lookup: Lookup) -> Care:
    part = policy.partition
    assert isinstance(part, PartitionPolicy)  # noqa: S101 - the fleet file has no other on TiDB
    base = Care(key, table.subject, part, table)
    children = [Partition(**row) for row in lookup.rows("partitions", table)]
    if not children:
        temporary = lookup.one("temporary", table)
        return replace(base, problem=_temporary(table) if temporary else _plain(table, part, lookup))
    scaled = _scale(table, part, children, lookup)
    if isinstance(scaled, Finding):
        return replace(base, problem=scaled)
    try:
        spans = read_spans(children, scaled)
    except UnknownBoundsError as error:
        text = f"bounds not understood: {error}"
        return replace(base, problem=Finding.of("bounds", table.subject, Severity.ERROR, text, remedy="report this"))
    problem = _no_times(table, part, scaled, [s for s, _ in spans])
    if problem is not None:
        return replace(base, scale=scaled, problem=problem)
    top = next(
        (p for span, p in spans if span.upper == HIGHEST and not scaled.reaches_end(span.lower, part.every)), None
    )
    finite = tuple((span, p) for span, p in spans if p is not top)
    return replace(base, scale=scaled, partitions=finite, maxvalue=top)


def complete(care: Care, lookup: Lookup) -> Care:
    """Return a care of `seen` with its layout, by what the frames ``ids``, ``numbers`` and ``maxvalue`` say by now."""
    table, scale = care.table, care.scale
    if table is None or scale is None or care.problem is not None:
        return care
    # of a table that is not understood nothing is told: what was read of it may be misread
    unread = Care(care.policy_name, care.subject, care.policy, table)
    sampled = lookup.one("numbers", table).get("numbers", ())
    spans = [span for span, _ in care.partitions]
    problem = _no_times(table, care.policy, scale, spans, sampled) if sampled else None
    if problem is not None:
        return replace(unread, scale=scale, problem=problem)
    highest = lookup.one("ids", table)
    if scale.axis.is_id and highest.get("unknown"):
        return replace(unread, problem=_unknown_ids(table, highest["unknown"]), later=True)
    wish = _wish(lookup.declared[care.policy_name], scale, care.partitions, lookup, highest.get("at"))
    counted = lookup.one("maxvalue", table)
    return replace(
        care,
        layout=layout([s for s in spans if s.upper > LOWEST], wish, scale.axis),
        place=wish.at,
        max_rows=counted.get("rows", 0),
        max_inside=counted.get("inside", 0),
    )


def _scale(table: Table, part: PartitionPolicy, children: Sequence[Partition], lookup: Lookup) -> Scale | Finding:
    """Return the scale of the table's key, or why it cannot be extended by this policy."""
    key = keys.read_key(children[0].method, children[0].expression)
    if isinstance(key, str):
        return _unreadable(table, part, key, lookup)
    if not keys.same_column(key.column, part.by):
        text = f"{table.subject} is partitioned by {key.column}, but the policy says by: {part.by}"
        remedy = f"write by: {names.quote(key.column)}"
        return Finding.of("partition_key", table.subject, Severity.ERROR, text, remedy=remedy)
    column = _column(key.column, table, lookup)
    type_ = column["base"].lower() if column is not None else "?"
    against = keys.unfit(key, type_, part.every, part.unit)
    if against is not None:
        return Finding.of("policy", table.subject, Severity.ERROR, against[0], remedy=against[1])
    if table.sharding and "AUTO_RANDOM" in table.sharding and isinstance(part.every, int):
        text = f"{table.subject} has AUTO_RANDOM ids: they do not grow, so there is no next partition"
        return Finding.of("policy", table.subject, Severity.ERROR, text, remedy="partition by a time column")
    unsigned = column is not None and "unsigned" in column["type"].lower()
    return keys.scale(key, type_, part.zone, "id" if isinstance(part.every, int) else part.unit, unsigned=unsigned)


def _column(name: str, table: Table, lookup: Lookup) -> Mapping[str, Any] | None:
    return next((row for row in lookup.rows("columns", table) if names.same(row["name"], name)), None)


def _no_times(
    table: Table, part: PartitionPolicy, scaled: Scale, spans: Iterable[Span], sampled: Sequence[int] = ()
) -> Finding | None:
    """Return that the numbers of the key are no times in the unit of the policy."""
    if not limits.counts_time(scaled.axis):
        return None
    places = [place for span in spans for place in span]
    if isinstance(part.from_, int):
        places.append(scaled.read(str(part.from_)))
    what = "values" if sampled else "bounds"
    places += [scaled.read(str(number)) for number in sampled]
    return limits.misread(table.subject, names.quote(scaled.key.column), scaled.axis, places, what)


def _wish(
    policy: TablePolicy, scale: Scale, spans: Sequence[tuple[Span, Partition]], lookup: Lookup, highest: int | None
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
    if retain is not None and names.same(names.column(retain.by or part.by), names.column(part.by)):
        keep_after = kept_from(retain, axis, lookup.now)
    at = axis.of(lookup.at)
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
    return bounds[0] > LOWEST and all(
        care.scale.axis.following(low, care.policy.every) == high for low, high in pairwise(bounds)
    )


def with_divided(found: Sequence[Care]) -> Iterator[tuple[Care, Partition]]:
    """Yield the tables that have a partition to be divided, and that."""
    for care in found:
        if care.divided is not None:
            yield care, care.divided


def _temporary(table: Table) -> Finding:
    text = f"{table.subject} is a temporary table: TiDB does not partition those, and its rows go by themselves"
    return Finding.of("partitioned", table.subject, Severity.ERROR, text, remedy=NAME_A_TABLE)


def _plain(table: Table, part: PartitionPolicy, lookup: Lookup) -> Finding:
    text = f"{table.subject} is a plain table, not partitioned"
    return Finding.of("partitioned", table.subject, Severity.ERROR, text, remedy=_way_out(table, part, lookup))


def _unreadable(table: Table, part: PartitionPolicy, key: str, lookup: Lookup) -> Finding:
    """Return that a declared headroom cannot be provided."""
    text = f"{table.subject} is {key}: the {part.ahead} partitions ahead that are declared cannot be made"
    return Finding.of("partition_strategy", table.subject, Severity.ERROR, text, remedy=_way_out(table, part, lookup))


def _way_out(table: Table, part: PartitionPolicy, lookup: Lookup) -> str:
    by = names.quote(names.column(part.by))
    column = _column(names.column(part.by), table, lookup)
    type_ = column["base"].lower() if column is not None else ""
    key, bound = f"range columns ({by})", "'…'" if type_ in keys.TIMES else "…"
    if type_ == "timestamp":  # RANGE COLUMNS takes none
        key, bound = f"range (unix_timestamp({by}))", "unix_timestamp('…')"
    return (
        f"partition it by range of one column: alter table {table.subject} partition by {key} (partition p_first "
        f"values less than ({bound})), which TiDB does online; {by} must be part of its primary key and of every "
        "unique key. Or take 'partition' out of the policy"
    )


def _unknown_ids(table: Table, why: str) -> Finding:
    text = f"the highest id of {table.subject} is unknown, so nobody knows how many partitions are ahead: {why}"
    remedy = "analyze table, or divide it by hand until it can be read"
    state = FindingStatus.NOT_AVAILABLE
    return Finding.of("partition_position", table.subject, Severity.WARNING, text, remedy, status=state)
