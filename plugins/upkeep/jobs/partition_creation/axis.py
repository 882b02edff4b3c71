"""What a partition or age column counts, and arithmetic on it: alike on all engines.

An `Axis` is what the column counts: instants (timestamptz, or whole numbers since 1970), the wall clock of a
declared zone (timestamp, date: columns without a zone), or plain ids. A `Value` on it is a whole number:
microseconds since 1970-01-01 00:00 (in UTC, or of the wall clock), or the id. On a wall axis no hour is
missing or doubled when clocks change.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from upkeep.model import intervals
from upkeep.model.intervals import Duration

Value: TypeAlias = int

LOWEST: Final = -(2**100)
"""What MINVALUE, -infinity and years before 1 are read as."""
HIGHEST: Final = 2**100
"""What MAXVALUE, infinity and years after 9999 are read as; beyond any bigint, unsigned or of seconds."""
_UTC: Final = ZoneInfo("UTC")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MICROSECONDS: Final = {"seconds": 1_000_000, "milliseconds": 1000, "microseconds": 1}
_NEAR_ZERO: Final = timedelta(days=90)
"""So near to 1970-01-01 lies what counts a greater unit than is declared: seconds of today read as milliseconds."""
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
"""Beyond it lies what counts a smaller unit: milliseconds of today read as seconds."""
_ENDS: Final = {"MINVALUE": LOWEST, "-infinity": LOWEST, "MAXVALUE": HIGHEST, "infinity": HIGHEST}


class UnknownBoundsError(ValueError):
    """Bounds of a form that is not understood (list, hash, several columns)."""


@dataclass(frozen=True, slots=True)
class Axis:
    """What a partition column counts.

    Attributes
    ----------
    type
        The column's type: timestamptz, timestamp, date, int2, int4, int8.
    zone
        Where days and months begin, and what the wall clock of a column without zone shows.
    unit
        What a whole number counts: seconds, milliseconds, microseconds since 1970, or ``id``.
    last
        The greatest whole number that the column holds; ``None``: nothing ends before the calendar does.
    """

    type: str
    zone: ZoneInfo
    unit: str | None = None
    last: int | None = None

    @property
    def is_id(self) -> bool:
        """Whether it counts plain ids, of which the clock says nothing."""
        return self.unit == "id"

    @property
    def is_wall(self) -> bool:
        """Whether it shows the zone's wall clock, without saying which zone."""
        return self.type in ("timestamp", "date")

    @property
    def grid_zone(self) -> ZoneInfo:
        """The zone for calendar arithmetic on this axis: a wall axis is its own."""
        return _UTC if self.is_wall else self.zone

    @property
    def end(self) -> Value | None:
        """Where the column's type ends: the first place that no value reaches."""
        return None if self.last is None else (self.last + 1) * self._factor

    def implausible(self, values: Iterable[Value]) -> str | None:
        """Return why places on the axis cannot be times, as `implausible` does of the column's own numbers."""
        if not self.type.startswith("int") or self.is_id:
            return None
        known = (v // self._factor for v in values if v not in (LOWEST, HIGHEST))
        return implausible(known, self.unit or "seconds")

    def of(self, instant: datetime) -> Value:
        """Return where an instant lies on this axis of time."""
        if self.is_wall:
            instant = instant.astimezone(self.zone).replace(tzinfo=UTC)
        return (instant - _EPOCH) // _MICROSECOND

    def instant(self, value: Value) -> datetime:
        """Return the instant at a place on this axis of time (the earlier one where the wall clock shows it twice).

        Raises `OverflowError` at `LOWEST` and `HIGHEST`.
        """
        moment = _moment(value)
        return moment.replace(tzinfo=self.zone).astimezone(UTC) if self.is_wall else moment

    def read(self, text: str) -> Value:
        """Return the value of a bound's text.

        Raises
        ------
        UnknownBoundsError
            The text is no value of this axis.
        """
        if text in _ENDS:
            return _ENDS[text]
        if self.type.startswith("int"):
            return int(text) * self._factor
        try:
            value = datetime.fromisoformat(text)
        except ValueError:
            return _beyond(text)
        # a wall clock is reckoned as if it were UTC's: then no hour is missing or doubled on it
        if value.tzinfo is None:
            value = value.replace(tzinfo=UTC)
        return (value - _EPOCH) // _MICROSECOND

    def write(self, value: Value) -> str:
        """Return a value as the text of a literal: with its offset on timestamptz, a plain number on integers.

        Where the column's type ends it is ``MAXVALUE`` (``MINVALUE``).
        """
        if self.end is not None and not -self.end <= value < self.end:
            return "MAXVALUE" if value > 0 else "MINVALUE"
        if self.type.startswith("int"):
            return str(value // self._factor)
        moment = _moment(value)
        if self.type == "date":
            return f"{moment.date().isoformat()}"
        if self.type == "timestamptz":
            return moment.astimezone(self.zone).isoformat(sep=" ")
        return moment.replace(tzinfo=None).isoformat(sep=" ")

    def floor(self, value: Value, every: Duration | int) -> Value:
        """Return the start of the period that contains ``value``."""
        # Python's % takes the divisor's sign, so this rounds down below zero too
        if isinstance(every, int):
            return value - value % every
        return (intervals.floor(_moment(value), every, self.grid_zone) - _EPOCH) // _MICROSECOND

    def following(self, value: Value, every: Duration | int) -> Value:
        """Return the first start of a period after ``value``."""
        if isinstance(every, int):
            return value - value % every + every
        return (intervals.following(_moment(value), every, self.grid_zone) - _EPOCH) // _MICROSECOND

    @property
    def _factor(self) -> int:
        """Microseconds (or ids) to one of the column's whole numbers."""
        return 1 if self.is_id else _MICROSECONDS[self.unit or "seconds"]


def implausible(numbers: Iterable[float], unit: str) -> str | None:
    """Return why numbers cannot be times in a unit, and the unit that fits them; ``None`` where they may be times.

    Times are refused only when not one number is a likely one: all lie within days of 1970-01-01, or beyond the year
    2200. So a first partition from 0, a row without a time (0) and a bound "for ever" spoil nothing, and zero says
    nothing at all.

    Parameters
    ----------
    numbers
        Bounds, or values (the lowest and the highest are enough), as the column holds them.
    unit
        ``seconds``, ``milliseconds`` or ``microseconds`` since 1970-01-01; ids are not asked about.

    >>> implausible([1704067200, 1735689600], "milliseconds")
    'read as milliseconds since 1970, they all lie in the first days of 1970; the values fit seconds'
    >>> implausible([0, 1704067200], "seconds"), implausible([], "seconds")
    (None, None)
    """
    known = [n for n in numbers if n and math.isfinite(n)]
    if not known or any(_is_likely(n * _MICROSECONDS[unit]) for n in known):
        return None
    # a bound before 1970 is a time like others: only how far it lies from there is looked at
    early = all(abs(n) * _MICROSECONDS[unit] < _NEAR_ZERO // _MICROSECOND for n in known)
    late = all(abs(n) * _MICROSECONDS[unit] >= _NEAR_ZERO // _MICROSECOND for n in known)
    where = "in the first days of 1970" if early else "beyond the year 2200" if late else "in 1970 or beyond 2200"
    text = f"read as {unit} since 1970, they all lie {where}; "
    fitting = {**_MICROSECONDS, "nanoseconds": 1 / 1000}
    fits = [name for name, factor in fitting.items() if any(_is_likely(n * factor) for n in known)]
    return text + (f"the values fit {' or '.join(fits)}" if fits else "they are no times since 1970 in any unit")


def _is_likely(microseconds: float) -> bool:
    """Return whether an instant lies neither within days of 1970-01-01 nor beyond the year 2200 (nor before 1740)."""
    return _NEAR_ZERO // _MICROSECOND <= abs(microseconds) < (_LATEST - _EPOCH) // _MICROSECOND


def length(every: Duration | int) -> int:
    """Return about how long a period is on an axis."""
    return every if isinstance(every, int) else every.approximate // _MICROSECOND


def _moment(value: Value) -> datetime:
    return _EPOCH + timedelta(microseconds=value)


def _beyond(text: str) -> Value:
    if text.endswith("BC"):
        return LOWEST
    if re.match(r"\d{5,}-", text):
        return HIGHEST
    raise UnknownBoundsError(text)


def brief(text: str) -> str:
    """Return a bound's text for people: without the time where that is midnight.

    >>> brief("2026-12-01 00:00:00+00:00"), brief("2026-11-13 02:30:00+00:00"), brief("2026-12-01 00:00:00")
    ('2026-12-01', '2026-11-13 02:30:00+00:00', '2026-12-01')
    """
    return text.removesuffix(" 00:00:00+00:00").removesuffix(" 00:00:00")
