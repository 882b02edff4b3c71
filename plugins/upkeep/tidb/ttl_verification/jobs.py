"""What TiDB's TTL jobs have promised of a table: before which time no row may be there any more. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from upkeep.jobs.data_retention.cutoff import moment

SLACK: Final = timedelta(minutes=10)
"""Jobs are looked for every few seconds and begin within a minute or two; their owner reports every ten seconds."""
_DAY: Final = timedelta(days=1)
_ALWAYS: Final = ("00:00", "23:59")


@dataclass(frozen=True, slots=True)
class Promise:
    """What the finished jobs of a table (of all its partitions) say.

    Attributes
    ----------
    bound
        Rows with a time before it must be gone: the last finished job found what came of age before that, and one more
        has finished since, or should have. ``None``: nothing is promised yet.
    since
        When the job with that bound began.
    finished
        When the last job finished that all partitions have had; ``None``: there was none on some of them.
    silent
        For how many seconds the owner of a running job has said nothing; ``None``: none is running.
    """

    bound: datetime | None = None
    since: datetime | None = None
    finished: datetime | None = None
    silent: float | None = None


def patience(every: float, switch: Mapping[str, Any]) -> timedelta:
    """Return how long after a job one more must have finished: two intervals, and the hours in which none begins."""
    always = all(str(switch[key]).startswith(at) for key, at in zip(("starts", "ends"), _ALWAYS, strict=True))
    return 2 * timedelta(seconds=every) + SLACK + (timedelta() if always else _DAY)


def promise(
    ids: Sequence[int],
    finished: Sequence[Mapping[str, Any]],
    running: Sequence[Mapping[str, Any]],
    now: datetime,
    wait: timedelta,
) -> Promise:
    """Return what the jobs on a table's data promise: what those of all its partitions do."""
    silent = max((float(row["silent"] or 0) for row in running if row["id"] in ids), default=None)
    bounds: list[tuple[datetime, datetime]] = []
    ends: list[datetime] = []
    for one in ids:
        own = [row for row in finished if row["id"] == one]
        if not own:
            return Promise(silent=silent)
        last = own[0]
        ends.append(_utc(last["finished"]))
        if len(own) > 1:
            bounds.append((_utc(own[1]["expire"]), _utc(own[1]["created"])))
        elif now - _utc(last["created"]) > wait:
            bounds.append((_utc(last["expire"]), _utc(last["created"])))
    if len(bounds) < len(ids):
        return Promise(finished=min(ends), silent=silent)
    bound, since = min(bounds)
    return Promise(bound, since, min(ends), silent)


def wall_clock(bound: datetime, zone: str) -> datetime:
    """Return what a DATETIME column shows at an instant: TiDB reads it by the server's own zone.

    In a zone that is not understood it is taken for the earliest one: then fewer rows count as overdue.
    """
    try:
        return bound.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    try:
        return bound.astimezone(datetime.strptime(zone, "%z").tzinfo or UTC).replace(tzinfo=None)
    except ValueError:
        return bound.astimezone(timezone(timedelta(hours=-12))).replace(tzinfo=None)


def _utc(value: Any) -> datetime:
    """Return a time of the server's own tables, which our session reads in UTC."""
    at = moment(value)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
