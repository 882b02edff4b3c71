"""From when on rows are due: the cut-off on the age column's own axis.

Always on the careful side: a row whose age is in doubt (a date, an hour that the clock shows twice) counts as
the younger. A past ``at`` never deletes more than today's policy allows, and a future one neither.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from upkeep.fleet import BackupRule, RetainPolicy, TablePolicy, elapsed
from upkeep.jobs.partition_creation.axis import Axis, Value
from upkeep.model import Requirement
from upkeep.model.intervals import shift

LONG_AGO: Final = datetime(2, 1, 1, tzinfo=UTC)


def age_axis(policy: TablePolicy, base_type: str) -> Axis:
    """Return the axis of an age column: zone and unit from ``retain``, else from ``partition``."""
    retain, partition = policy.retain, policy.ranges
    zone = retain.zone if retain else ZoneInfo("UTC")
    unit = retain.unit if retain else None
    if partition is not None and retain is not None:
        # one zone for a table, unless its owner says for the age otherwise
        if "timezone" not in retain.model_fields_set:
            zone = partition.zone
        # the partition's unit says nothing of another column
        if unit is None and (retain.by is None or retain.by == partition.by):
            unit = partition.unit
    return Axis(type=base_type, zone=zone, unit=unit)


def cut_off(policy: RetainPolicy, axis: Axis, at: datetime, server_now: datetime) -> Value:
    """Return the place on the axis before which rows are due: never later than today's cut-off."""
    zone = axis.zone
    try:
        # neither `--at` of next year nor a worker's wrong clock makes more due than the server's own date does
        instant = min(shift(at, policy.for_, zone, -1), shift(server_now, policy.for_, zone, -1))
    except (OverflowError, ValueError):
        instant = LONG_AGO  # longer than the calendar: nothing is due
    value = axis.of(instant)
    # a wall clock does not say which of its two 02:30 it means: the hour counts as the younger one
    if axis.is_wall:
        value -= _shown_twice(instant.astimezone(zone)) // timedelta(microseconds=1)
    return axis.read(axis.write(value))  # down to what the column can say: days, seconds …


def kept_from(retain: RetainPolicy, axis: Axis, server_now: datetime) -> Value:
    """Return the place on a partition column's axis before which today's retention lets nothing stay.

    What ends there or before is not created, whole partitions go or rows: `Wish` of
    `upkeep.jobs.partition_creation.layout`. Only for tables whose age column is the partition column.
    """
    if "timezone" in retain.model_fields_set:
        axis = replace(axis, zone=retain.zone)
    return cut_off(retain, axis, server_now, server_now)


def _shown_twice(wall: datetime) -> timedelta:
    """How much of the wall clock before this moment may also be a later instant (the hour when clocks go back)."""
    later = wall.replace(fold=1)
    if wall.fold == 1 or later.utcoffset() == wall.utcoffset():
        return timedelta()
    return (wall.utcoffset() or timedelta()) - (later.utcoffset() or timedelta())


def moment(value: Any) -> datetime:
    """Return a datetime that may have become text on its way through JSON."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(str(value))


def requirement(policy: RetainPolicy) -> Requirement:
    """Return what the policy requires before rows may go."""
    if isinstance(policy.requires, BackupRule):
        return Requirement(kind="backup", backup_age_seconds=elapsed(policy.requires.backup).total_seconds())
    return Requirement(kind=policy.requires)
