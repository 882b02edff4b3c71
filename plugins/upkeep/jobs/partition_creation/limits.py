"""What whole numbers of a partition or age column can say: whether they are times in the declared unit, until when.

Pure, alike on all engines; each engine's room reads the numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from upkeep.jobs.partition_creation.axis import HIGHEST, LOWEST, Axis, Value
from upkeep.model import Finding, Severity

UNIT: Final = "unit"
"""Name of the check."""
SOON_DAYS: Final = 366
"""So long before the column's type ends a new column must be on its way: rewriting a large table takes months."""
FAR_DAYS: Final = 20 * 366
"""What ends later is not yet mentioned."""
SOON_SHARE: Final = 10
"""Ids have no pace: they end soon when less than a tenth of them is left, and half of them is worth mentioning."""
_DAY: Final = 86_400_000_000


def counts_time(axis: Axis) -> bool:
    """Return whether the column holds numbers that are to be times."""
    return axis.type.startswith("int") and not axis.is_id


def told_by(spans: Iterable[tuple[Value | None, Value | None]]) -> bool:
    """Return whether bounds tell the unit: one is neither open nor 0."""
    return any(place not in (None, 0, LOWEST, HIGHEST) for span in spans for place in span)


def misread(subject: str, column: str, axis: Axis, values: Iterable[Value], what: str = "bounds") -> Finding | None:
    """Return that the numbers of a column are no times in the unit that the policy declares."""
    # wrong by a factor of a thousand, and everything would be due, or nothing ever
    why = axis.implausible(values)
    if why is None:
        return None
    text = f"the {what} of {column} are no times in {axis.unit}: {why}"
    remedy = "correct unit: in the fleet file; until then nothing is created, detached or deleted here"
    return Finding.of(UNIT, subject, Severity.ERROR, text, remedy, evidence={"unit": axis.unit})


def type_end(  # noqa: PLR0917 - what a care knows by then
    subject: str, key: str, axis: Axis, horizon: Value, place: Value, now: datetime, remedy: str
) -> Iterator[Finding]:
    """Yield that the partition column's type ends, while there is time to do something about it.

    Parameters
    ----------
    key
        The column and its type, for people.
    horizon
        How far partitions are to reach.
    place
        Where the highest id stands; times are measured from ``now``.
    """
    if axis.end is None or axis.last is None:
        return
    reached = horizon >= axis.end
    number = f" at {axis.last:,}" if axis.type.startswith("int") else ""
    evidence: dict[str, object] = {"key": key, "last": axis.last}
    # ids have no clock: what is left of them, not when it is used up
    if axis.is_id:
        left = max(axis.end - place, 0)
        said, over = f"{left:,} ids are left", left <= 1
        severity = _severity(over=over, soon=reached or left * SOON_SHARE < axis.end, worth=left * 2 < axis.end)
    elif axis.end - axis.of(now) > FAR_DAYS * _DAY:
        return
    else:
        last = axis.instant(axis.end - 1)
        days = (last - now).days
        over = last <= now
        said = f"it ended at {last.date()}" if over else f"it lasts until {last.date()}, {days:,} days from now"
        evidence |= {"ends": last.isoformat(), "days_left": days}
        severity = _severity(over=over, soon=reached or days < SOON_DAYS, worth=True)
    if severity is None:
        return
    text = f"{key} ends{number}: {said}"
    text += "; the last partition reaches up to there (MAXVALUE), and none is made beyond" if reached else ""
    yield Finding.of("type_end", subject, severity, text, remedy, evidence=evidence)


def _severity(*, over: bool, soon: bool, worth: bool) -> Severity | None:
    if over:
        return Severity.ERROR
    return Severity.WARNING if soon else Severity.INFO if worth else None
