"""What a partition or age column counts, and arithmetic on it: alike on all engines.

An `Axis` is what the column counts: instants (timestamptz, or whole numbers since 1970), the wall clock of a
declared zone (timestamp, date: columns without a zone), or plain ids. A `Value` on it is a whole number:
microseconds since 1970-01-01 00:00 (in UTC, or of the wall clock), or the id. On a wall axis no hour is
missing or doubled when clocks change.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeAlias
from zoneinfo import ZoneInfo

from upkeep import intervals

if TYPE_CHECKING:
    from upkeep.intervals import Duration

Value: TypeAlias = int

LOWEST: Final = -(2**63)
"""What MINVALUE, -infinity and years before 1 are read as."""
HIGHEST: Final = 2**63
"""What MAXVALUE, infinity and years after 9999 are read as; beyond every bigint."""
_UTC: Final = ZoneInfo("UTC")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MICROSECONDS: Final = {"seconds": 1_000_000, "milliseconds": 1000, "microseconds": 1}
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
    """

    type: str
    zone: ZoneInfo
    unit: str | None = None

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
        if value.tzinfo is None:
            value = value.replace(tzinfo=UTC)
        return (value - _EPOCH) // _MICROSECOND

    def write(self, value: Value) -> str:
        """Return a value as the text of a literal: with its offset on timestamptz, a plain number on integers."""
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
