"""For how many more whole periods a table has partitions, on every engine that divides tables. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from upkeep.fleet.tables import PartitionPolicy
from upkeep.jobs.checks import Seen
from upkeep.jobs.partition_creation.axis import HIGHEST, Axis, Value

CHECK: Final = "partition_headroom"
_ENOUGH: Final = 2
"""With so many whole periods ahead two nights may fail."""
_UNTIL: Final = "for ever"


def reach(subject: str, policy: PartitionPolicy, axis: Axis, ends: Iterable[Value], clock: datetime) -> Seen:
    """Return how far partitions reach that end there, on an axis of time; never worse than what is declared."""
    now = axis.of(clock)
    end = max(ends, default=now)
    whole, place = 0, axis.following(now, policy.every)
    while whole < policy.ahead and axis.following(place, policy.every) <= end:
        whole, place = whole + 1, axis.following(place, policy.every)
    state = "enough"
    if end <= now:
        state = "none"
    elif whole < min(policy.ahead, 1):
        state = "last"
    elif whole < min(policy.ahead, _ENOUGH):
        state = "thin"
    open_end = end >= HIGHEST
    until = _UNTIL if open_end else f"{axis.instant(end).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    days = {} if open_end else {"days": round((end - now) / 86_400e6, 1)}
    return Seen(check=CHECK, subject=subject, state=state, evidence={"ahead": whole, "until": until, **days})
