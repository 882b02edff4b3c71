"""When a job is due by its row of the table, and whether one has silently stopped. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final

from croniter import croniter

LATE: Final = 1.5
STOPPED: Final = 2.0
"""So many of its intervals old is the last run of a job that is late, or has stopped."""
WAIT: Final = timedelta(hours=2)
"""A night's run may wait so long for its place."""
NIGHTLY: Final = timedelta(hours=12)
"""A job that runs less often belongs to the night."""


class Pace(StrEnum):
    """Whether a job runs as often as it should."""

    ON_TIME = "on_time"
    LATE = "late"
    STOPPED = "stopped"
    NEVER = "never"
    UNSCHEDULED = "unscheduled"


@lru_cache(maxsize=64)  # asked for each target
def following(cron: str, now: datetime) -> datetime:
    """Return when a job is due next, after ``now``."""
    moment: datetime = croniter(cron, now.astimezone(UTC)).get_next(datetime)
    return moment


@lru_cache(maxsize=64)  # asked for each target
def due(cron: str, now: datetime) -> datetime:
    """Return when a job was due last, until ``now``."""
    moment: datetime = croniter(cron, now.astimezone(UTC) + timedelta(microseconds=1)).get_prev(datetime)
    return moment


def interval(cron: str, now: datetime) -> timedelta:
    """Return the time between the last and the next occasion."""
    return following(cron, now) - due(cron, now)


def pace(cron: str | None, last: datetime | None, now: datetime) -> Pace:
    """Return whether a job runs as often as it should.

    Late is also a job that has missed its last occasion: at eight in the morning a night that did not take place is
    not yet one and a half days since the one before.

    Parameters
    ----------
    last
        When it last began.
    """
    if cron is None:
        return Pace.UNSCHEDULED
    if last is None:
        return Pace.NEVER
    length, age = interval(cron, now), now - last
    if age > STOPPED * length:
        return Pace.STOPPED
    occasion = due(cron, now)
    missed = last < occasion and now - occasion > min(length / 2, WAIT)
    return Pace.LATE if missed or age > LATE * length else Pace.ON_TIME
