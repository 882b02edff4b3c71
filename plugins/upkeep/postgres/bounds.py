"""Partition bounds: read from the catalog's text, computed on the column's own axis, written with offsets.

An `Axis` is what the partition column counts: instants (timestamptz, or whole numbers since 1970), the
wall clock of a declared zone (timestamp, date: columns without a zone), or plain ids. Instants and wall
clock readings are both carried as datetimes in UTC; on a wall axis that is only a label, so that no
hour is missing or doubled there when clocks change.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeAlias, cast
from zoneinfo import ZoneInfo

from upkeep import intervals

if TYPE_CHECKING:
    from upkeep.intervals import Duration

Value: TypeAlias = datetime | int

EARLIEST: Final = datetime.min.replace(tzinfo=UTC)
LATEST: Final = datetime.max.replace(tzinfo=UTC)
SMALLEST: Final = -(2**63)
LARGEST: Final = 2**63
"""Beyond every bigint: MAXVALUE on an axis of ids."""
_UTC: Final = ZoneInfo("UTC")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PER_SECOND: Final = {"seconds": 1, "milliseconds": 1000, "microseconds": 1_000_000}
_RANGE: Final = re.compile(r"FOR VALUES FROM \((.*)\) TO \((.*)\)", re.DOTALL)
_ONE: Final = re.compile(r"'((?:[^']|'')*)'|(MINVALUE|MAXVALUE|-?\d+)")


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
    def lowest(self) -> Value:
        """What MINVALUE is read as."""
        return SMALLEST if self.is_id else EARLIEST

    @property
    def highest(self) -> Value:
        """What MAXVALUE is read as."""
        return LARGEST if self.is_id else LATEST

    @property
    def grid_zone(self) -> ZoneInfo:
        """The zone for calendar arithmetic on this axis: a wall axis is its own."""
        return _UTC if self.is_wall else self.zone

    def of(self, instant: datetime) -> datetime:
        """Return where an instant lies on this axis of time."""
        if self.is_wall:
            return instant.astimezone(self.zone).replace(tzinfo=UTC)
        return instant.astimezone(UTC)

    def instant(self, value: datetime) -> datetime:
        """Return the instant at a place on this axis of time (the earlier one where the wall clock shows it twice)."""
        if self.is_wall and value not in (EARLIEST, LATEST):
            return value.replace(tzinfo=self.zone).astimezone(UTC)
        return value

    def read(self, text: str) -> Value:
        """Return the value of a bound's text; beyond the years 1 to 9999 it is the lowest or highest.

        Raises
        ------
        UnknownBoundsError
            The text is no value of this axis.
        """
        if text == "MINVALUE":
            return self.lowest
        if text == "MAXVALUE":
            return self.highest
        if self.type.startswith("int"):
            return int(text) if self.is_id else self._from_epoch(int(text))
        try:
            value = datetime.fromisoformat(text)
        except ValueError:
            return self._beyond(text)
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def write(self, value: Value) -> str:
        """Return a value as the text of a literal: with its offset on timestamptz, a plain number on integers."""
        if isinstance(value, int):
            return str(value)
        if self.type.startswith("int"):
            return str(self._to_epoch(value))
        if self.type == "date":
            return f"{value:%Y-%m-%d}"
        if self.type == "timestamptz":
            value = value.astimezone(self.zone)
        text = value.isoformat(sep=" ", timespec="microseconds" if value.microsecond else "seconds")
        return text if self.type == "timestamptz" else text.removesuffix("+00:00")

    def floor(self, value: Value, every: Duration | int) -> Value:
        """Return the start of the period that contains ``value``."""
        if isinstance(value, int):
            return value - value % cast("int", every)
        return intervals.floor(value, cast("Duration", every), self.grid_zone)

    def following(self, value: Value, every: Duration | int) -> Value:
        """Return the first start of a period after ``value``."""
        if isinstance(value, int):
            return value - value % cast("int", every) + cast("int", every)
        return intervals.following(value, cast("Duration", every), self.grid_zone)

    def _from_epoch(self, number: int) -> datetime:
        micros = number * (1_000_000 // _PER_SECOND[self.unit or "seconds"])
        try:
            return _EPOCH + timedelta(microseconds=micros)
        except OverflowError:
            return LATEST if micros > 0 else EARLIEST

    def _to_epoch(self, value: datetime) -> int:
        micros = (value - _EPOCH) // timedelta(microseconds=1)
        return micros // (1_000_000 // _PER_SECOND[self.unit or "seconds"])

    def _beyond(self, text: str) -> datetime:
        if text.endswith("BC") or text == "-infinity":
            return EARLIEST
        if text == "infinity" or re.match(r"\d{5,}-", text):
            return LATEST
        raise UnknownBoundsError(text)


def texts(bounds: str) -> tuple[str, str]:
    """Return the lower and the upper text of a range partition by one column.

    Raises
    ------
    UnknownBoundsError
        It is a list or hash partition, the default, or has several columns.
    """
    match = _RANGE.fullmatch(bounds)
    lower = _ONE.fullmatch(match.group(1)) if match else None
    upper = _ONE.fullmatch(match.group(2)) if match else None
    if lower is None or upper is None:
        raise UnknownBoundsError(bounds)
    return _text(lower), _text(upper)


def read(bounds: str, axis: Axis) -> tuple[Value, Value]:
    """Return lower (inside) and upper (outside) bound on the axis. Raises as `texts` and `Axis.read` do."""
    lower, upper = texts(bounds)
    return axis.read(lower), axis.read(upper)


def _text(match: re.Match[str]) -> str:
    quoted = match.group(1)
    return quoted.replace("''", "'") if quoted is not None else cast("str", match.group(2))
