"""Durations as owners write them, and calendar arithmetic in a declared time zone.

Months and days are calendar units (a day may have 23 or 25 hours, 31 January plus a month is the last of
February); hours and smaller are elapsed time. All instants are aware datetimes, returned in UTC.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

_UNIT: Final = {
    "second": ("seconds", 1),
    "minute": ("seconds", 60),
    "hour": ("seconds", 3600),
    "day": ("days", 1),
    "week": ("days", 7),
    "month": ("months", 1),
    "quarter": ("months", 3),
    "year": ("months", 12),
}
_PART: Final = re.compile(r"\s*(\d+)\s*([a-zA-Z]+)\s*,?")
_ISO_MONDAY: Final = datetime(1970, 1, 5)  # noqa: DTZ001 - wall clock of the declared zone
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = 86_400


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A length of time in calendar months, calendar days and elapsed seconds (all ≥ 0)."""

    months: int = 0
    days: int = 0
    seconds: int = 0

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Read ``30 days``, ``1 month``, ``26 hours``, ``1 year 6 months``.

        Raises
        ------
        ValueError
            When the text is not of that form; the message shows the form.
        """
        amounts = {"months": 0, "days": 0, "seconds": 0}
        position = 0
        while position < len(text.rstrip()):
            match = _PART.match(text, position)
            unit = match.group(2).lower().rstrip("s") if match else ""
            if match is None or unit not in _UNIT:
                message = (
                    f"{text!r} is not a duration; write a number and a unit, e.g. '30 days', '1 month', '26 hours'"
                )
                raise ValueError(message)
            field, factor = _UNIT[unit]
            amounts[field] += int(match.group(1)) * factor
            position = match.end()
        duration = cls(**amounts)
        if duration == cls():
            message = f"{text!r} is not a duration: it must be longer than nothing"
            raise ValueError(message)
        return duration

    def __str__(self) -> str:
        """Return the form that `parse` reads."""
        parts = []
        for amount, unit in ((self.months, "month"), (self.days, "day"), (self.seconds, "second")):
            if amount:
                parts.append(f"{amount} {unit}{'s' if amount != 1 else ''}")
        if parts and not self.months and not self.days and self.seconds % 3600 == 0:
            hours = self.seconds // 3600
            return f"{hours} hour{'s' if hours != 1 else ''}"
        return " ".join(parts) or "0 seconds"

    @property
    def approximate(self) -> timedelta:
        """Return an elapsed time of about this length (a month counts 30.44 days): for estimates only."""
        return timedelta(days=self.months * 30.44 + self.days, seconds=self.seconds)


_ONE_DAY: Final = Duration(days=1)


def shift(moment: datetime, duration: Duration, zone: ZoneInfo, times: int = 1) -> datetime:
    """Return ``moment`` moved by ``times`` × ``duration`` on the wall clock of ``zone``, in UTC.

    Months are clamped to the month's end. A wall time that the clock skips is read by the offset before the
    change, one that it shows twice as the earlier of the two (PEP 495, ``fold=0``).
    """
    if duration.months or duration.days:
        wall = moment.astimezone(zone).replace(tzinfo=None, fold=0)
        wall = _add_months(wall, duration.months * times) + timedelta(days=duration.days * times)
        moment = _instant(wall, zone)
    return moment.astimezone(UTC) + timedelta(seconds=duration.seconds * times)


def floor(moment: datetime, every: Duration, zone: ZoneInfo) -> datetime:
    """Return the start of the period of length ``every`` that contains ``moment``, in UTC.

    Months count from January of year 1 (so 3 months are quarters, 12 are years), days from Monday
    1970-01-05 (so 7 days are ISO weeks). Hours and smaller are elapsed time from the day's midnight where
    they divide a day: the day on which clocks change has a period more or less, and a rest of less than
    half a period belongs to the one before. What does not divide a day counts from the epoch.

    Raises
    ------
    ValueError
        ``every`` mixes units: such lengths have no natural grid.
    """
    _require_one_unit(every)
    if not every.seconds:
        number = _period(moment, every, zone)
        start = _period_start(number, every, zone)
        return start if start <= moment else _period_start(number - 1, every, zone)
    step = timedelta(seconds=every.seconds)
    if _DAY % every.seconds:
        return _EPOCH + (moment - _EPOCH) // step * step
    midnight, next_midnight = floor(moment, _ONE_DAY, zone), following(moment, _ONE_DAY, zone)
    start = midnight + (moment - midnight) // step * step
    return start - step if start > midnight and next_midnight - start < step / 2 else start


def following(moment: datetime, every: Duration, zone: ZoneInfo) -> datetime:
    """Return the first start of a period after ``moment``, in UTC: where the period that contains it ends.

    Raises as `floor` does.
    """
    _require_one_unit(every)
    if not every.seconds:
        number = _period(moment, every, zone)
        while (start := _period_start(number, every, zone)) <= moment:
            number += 1
        return start
    end = floor(moment, every, zone) + timedelta(seconds=every.seconds)
    if _DAY % every.seconds:
        return end
    next_midnight = following(moment, _ONE_DAY, zone)
    return next_midnight if next_midnight - end < timedelta(seconds=every.seconds) / 2 else end


def _require_one_unit(every: Duration) -> None:
    if sum(map(bool, (every.months, every.days, every.seconds))) != 1:
        message = f"'{every}' mixes months, days and hours: partitions need one unit"
        raise ValueError(message)


def _period(moment: datetime, every: Duration, zone: ZoneInfo) -> int:
    """Return the number of the calendar period that the wall clock shows at ``moment``."""
    wall = moment.astimezone(zone)
    if every.months:
        return ((wall.year - 1) * 12 + wall.month - 1) // every.months
    return (wall.date() - _ISO_MONDAY.date()).days // every.days


def _period_start(number: int, every: Duration, zone: ZoneInfo) -> datetime:
    if every.months:
        year, month = divmod(number * every.months, 12)
        return _instant(datetime(year + 1, month + 1, 1), zone)  # noqa: DTZ001 - wall clock of the zone
    return _instant(_ISO_MONDAY + timedelta(days=number * every.days), zone)


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    return wall.replace(tzinfo=zone).astimezone(UTC)


def _add_months(wall: datetime, months: int) -> datetime:
    year, month = divmod(wall.year * 12 + wall.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return wall.replace(year=year, month=month + 1, day=min(wall.day, last))
