"""Which range partitions should exist, and which do not: pure arithmetic on one axis.

The desired set follows from the clock and the policy alone, never from names or from the rows there are:
one far-future row must not make a thousand partitions (pg_partman#213). It begins at the first existing
partition (or at ``from``, or at the current period when there is none) and ends ``ahead`` periods after the
current one. What no existing partition covers is cut at the starts of periods; an irregular existing bound
is continued from, so that bounds stay contiguous (pg_partman#334, #367). Where the column's type ends, the last
partition ends too, and nothing lies ahead any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from upkeep.jobs.partition_creation.axis import Axis, Value, length
from upkeep.model.intervals import Duration


class Span(NamedTuple):
    """A range of the partition key: ``lower`` inside, ``upper`` outside."""

    lower: Value
    upper: Value


@dataclass(frozen=True, slots=True)
class Layout:
    """What exists beside what should.

    Attributes
    ----------
    missing
        Ranges to create, the most urgent first: the current period and those ahead, then gaps, newest first.
    more
        Whether there are more than were worked out.
    ahead_missing
        Periods from the current one on, declared but not covered.
    gaps
        Uncovered ranges before the end of the current period, by policy to be filled.
    overlaps
        Pairs of partitions that overlap; PostgreSQL does not allow them, so they mean a misreading.
    expired
        Uncovered ranges left alone, in whole or in part, because today's retention would remove them.
    current, horizon
        Start of the current period; end of the last one declared.
    """

    missing: tuple[Span, ...]
    more: bool
    ahead_missing: int
    gaps: int
    overlaps: int
    expired: int
    current: Value
    horizon: Value


@dataclass(frozen=True, slots=True)
class Wish:
    """What the policy asks for.

    Attributes
    ----------
    at
        Where the clock (or the highest id) stands on the axis.
    since
        The policy's ``from`` on the axis.
    keep_after
        The cut-off of today's retention on the axis: what ends before is not created.
    limit
        The most ranges worked out.
    """

    every: Duration | int
    ahead: int
    at: Value
    since: Value | None = None
    keep_after: Value | None = None
    limit: int = 200


def layout(existing: Iterable[Span], wish: Wish, axis: Axis) -> Layout:
    """Return what is missing of the desired set."""
    return _layout(tuple(existing), wish, axis)


@lru_cache(maxsize=256)
def _layout(existing: tuple[Span, ...], wish: Wish, axis: Axis) -> Layout:
    """Return the layout; remembered, for many tables are divided alike."""
    covered = sorted(existing)
    current, ends = _periods(axis, wish.every, wish.ahead, wish.at)
    horizon = ends[-1]
    holes = list(_holes(covered, _start(covered, wish, axis, current), horizon))
    pieces: list[Span] = []
    gaps, more = 0, False
    expired = sum(wish.keep_after is not None and h.lower < wish.keep_after for h in holes)
    for hole in reversed(holes):
        cut, rest = _cut(hole, wish, axis, horizon, _next_lower(covered, hole.upper))
        kept = [p for p in cut if not _is_expired(p, wish)]
        more |= rest
        gaps += any(p.lower < ends[0] for p in kept)
        pieces += kept
    urgent = sorted(p for p in pieces if p.upper > current)
    # newest first: with a cap on how many are made, the oldest are those to go without
    older = sorted((p for p in pieces if p.upper <= current), reverse=True)
    periods = [Span(*pair) for pair in pairwise([current, *ends])]
    wanted = [p for p in periods if wish.since is None or p.upper > wish.since]
    return Layout(
        missing=(*urgent, *older),
        more=more,
        ahead_missing=sum(any(_meets(p, h) for h in holes) for p in wanted),
        gaps=gaps,
        overlaps=sum(later.lower < earlier.upper for earlier, later in pairwise(covered)),
        expired=expired,
        current=current,
        horizon=horizon,
    )


@lru_cache(maxsize=1024)
def _periods(axis: Axis, every: Duration | int, ahead: int, at: Value) -> tuple[Value, tuple[Value, ...]]:
    """Return the start of the current period, and the ends of it and of those ahead; tables share their policies."""
    ends = [_following(axis, at, every)]
    for _ in range(ahead):
        try:
            ends.append(_following(axis, ends[-1], every))
        except (OverflowError, ValueError):
            break  # the calendar ends
    return axis.floor(at, every), tuple(ends)


def _following(axis: Axis, value: Value, every: Duration | int) -> Value:
    """Return the first start of a period after a value, or where the column's type ends."""
    if axis.end is None:
        return axis.following(value, every)
    return axis.end if value >= axis.end else min(axis.following(value, every), axis.end)


def _start(covered: Sequence[Span], wish: Wish, axis: Axis, current: Value) -> Value:
    if wish.since is not None:
        return axis.floor(wish.since, wish.every)
    if covered and covered[0].lower <= wish.at:  # what lies before the first one was never wanted
        return covered[0].lower
    return current


def _holes(covered: Sequence[Span], start: Value, end: Value) -> Iterator[Span]:
    """Yield what ``covered`` (sorted) leaves open of ``start`` to ``end``."""
    cursor = start
    for span in covered:
        if span.lower >= end:
            break
        if span.lower > cursor:
            yield Span(cursor, span.lower)
        cursor = max(cursor, span.upper)
    if cursor < end:
        yield Span(cursor, end)


def _next_lower(covered: Sequence[Span], value: Value) -> Value | None:
    return min((s.lower for s in covered if s.lower >= value), default=None)


def _cut(hole: Span, wish: Wish, axis: Axis, horizon: Value, limit: Value | None) -> tuple[list[Span], bool]:
    """Cut a hole at the starts of periods; return the pieces in order, and whether older ones were left out.

    A piece shorter than half a period is joined with its neighbour: continuing an irregular bound must not
    make slivers. At the horizon, where nothing follows, such a piece is lengthened by a period instead.
    """
    half = length(wish.every) / 2
    end = hole.upper
    if end == horizon and end - hole.lower < half and limit != end:
        end = _following(axis, end, wish.every)
        end = min(end, limit) if limit is not None else end
    lower, more = hole.lower, False
    if wish.keep_after is not None and lower < wish.keep_after < end:
        lower = max(lower, axis.floor(wish.keep_after, wish.every))
    # a hole of decades is not cut into all its pieces first, of which the cap takes a few
    reach = length(wish.every) * (wish.limit + 2)
    if end - lower > reach:
        lower, more = axis.floor(end - reach, wish.every), True
    marks = [lower]
    mark = axis.following(lower, wish.every)
    while mark < end:
        marks.append(mark)
        mark = axis.following(mark, wish.every)
    # after an irregular bound the grid's next mark may be near
    if len(marks) > 1 and marks[1] - marks[0] < half:
        del marks[1]
    if len(marks) > 1 and end - marks[-1] < half:
        del marks[-1]
    return [Span(*pair) for pair in pairwise([*marks, end])], more


def _is_expired(piece: Span, wish: Wish) -> bool:
    return wish.keep_after is not None and piece.upper <= wish.keep_after


def _meets(one: Span, other: Span) -> bool:
    return one.lower < other.upper and other.lower < one.upper


def reach(current: Value, spans: Iterable[Span]) -> Value:
    """Return how far there is a partition for every row, from the start of the current period on."""
    end = current
    for span in sorted(spans):
        if span.lower > end:
            break
        end = max(end, span.upper)
    return end
