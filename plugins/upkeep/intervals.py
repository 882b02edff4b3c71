"""Durations as owners write them, and calendar arithmetic in a declared time zone.

Months and days are calendar units (a day may have 23 or 25 hours, 31 January plus a month is the last of
February); hours and smaller are elapsed time. All instants are aware datetimes, returned in UTC.
"""

from __future__ import annotations

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


def shift(moment: datetime, duration: Duration, zone: ZoneInfo, times: int = 1) -> datetime:
    """Return ``moment`` moved by ``times`` × ``duration`` on the wall clock of ``zone``, in UTC.

    Months are clamped to the month's end; a wall time that the clock skips is read as the instant that
    follows by the earlier offset (PEP 495 ``fold=0``), so the result never moves backwards.
    """
    wall = moment.astimezone(zone)
    if duration.months:
        wall = _add_months(wall, duration.months * times)
    if duration.days:
        wall = (wall.replace(tzinfo=None) + timedelta(days=duration.days * times)).replace(tzinfo=zone)
    return wall.astimezone(UTC) + timedelta(seconds=duration.seconds * times)


def floor(moment: datetime, every: Duration, zone: ZoneInfo) -> datetime:
    """Return the start of the period of length ``every`` that contains ``moment``, in UTC.

    Months count from January of year 1 (so 3 months are quarters, 12 are years), days from Monday
    1970-01-05 (so 7 days are ISO weeks), seconds from the day's midnight where they divide a day,
    else from the epoch. Mixed lengths have no natural grid and are refused with `ValueError`.
    """
    given = [bool(every.months), bool(every.days), bool(every.seconds)]
    if sum(given) != 1:
        message = f"'{every}' mixes months, days and hours: partitions need one unit"
        raise ValueError(message)
    wall = moment.astimezone(zone).replace(tzinfo=None)
    midnight = wall.replace(hour=0, minute=0, second=0, microsecond=0)
    if every.months:
        index = (wall.year - 1) * 12 + wall.month - 1
        index -= index % every.months
        start = midnight.replace(year=index // 12 + 1, month=index % 12 + 1, day=1)
        return start.replace(tzinfo=zone).astimezone(UTC)
    if every.days:
        number = (midnight - _ISO_MONDAY).days
        start = _ISO_MONDAY + timedelta(days=number - number % every.days)
        return start.replace(tzinfo=zone).astimezone(UTC)
    epoch = int(moment.timestamp())
    offset = 0
    if 86400 % every.seconds == 0:
        utcoffset = moment.astimezone(zone).utcoffset()
        offset = int(utcoffset.total_seconds()) if utcoffset else 0
    start_epoch = epoch + offset - (epoch + offset) % every.seconds - offset
    return datetime.fromtimestamp(start_epoch, UTC)


def _add_months(wall: datetime, months: int) -> datetime:
    index = wall.year * 12 + wall.month - 1 + months
    year, month = divmod(index, 12)
    last = (datetime(year + month // 11, (month + 1) % 12 + 1, 1) - timedelta(days=1)).day  # noqa: DTZ001
    return wall.replace(year=year, month=month + 1, day=min(wall.day, last))
