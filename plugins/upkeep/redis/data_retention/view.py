"""Each declared stream beside what is there: its cut-off, and what its consumer groups still need. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from upkeep.fleet import RetainPolicy, Target
from upkeep.jobs.data_retention.cutoff import LONG_AGO, moment
from upkeep.model import Json, Observation
from upkeep.model.intervals import shift
from upkeep.redis.entries import EntryId


@dataclass(frozen=True)
class View:
    """One key in care.

    Attributes
    ----------
    row
        From `streams.declared`; ``due`` and ``held`` were counted by `observe`.
    server
        From `streams.server`.
    now
        The server's clock.
    cut_off
        Entries added before it are due.
    """

    policy: RetainPolicy
    row: Json
    server: Json
    now: datetime
    cut_off: datetime

    @property
    def subject(self) -> str:
        """The key's name."""
        return str(self.row["name"])

    @property
    def kind(self) -> str:
        """``stream``, another type of the server's, ``none``, ``unreadable`` or ``denied``."""
        return str(self.row["kind"])

    @property
    def first(self) -> EntryId | None:
        """The lowest id there is."""
        return _entry(self.row.get("first"))

    @property
    def last(self) -> EntryId | None:
        """The highest id there is."""
        return _entry(self.row.get("last"))

    @property
    def wanted(self) -> EntryId:
        """The id below which entries are due."""
        return EntryId.first_at(self.cut_off)

    @property
    def bound(self) -> EntryId:
        """The id below which entries are due and needed by no consumer group."""
        needs = [needed(group) for group in self.row.get("groups", ())]
        return min([self.wanted, *(n for n in needs if n is not None)])

    @property
    def due(self) -> int | None:
        """Entries that may go; ``None``: not known."""
        value: int | None = self.row.get("due")
        return value

    @property
    def length(self) -> int:
        """How many entries there are."""
        return int(self.row.get("length") or 0)


def needed(group: Json) -> EntryId | None:
    """Return the lowest id that a consumer group has not read, or not acknowledged; ``None``: it needs none."""
    needs = [_entry(group["unread_from"]), _entry(group["lowest_pending"])]
    return min((n for n in needs if n is not None), default=None)


def _entry(text: str | None) -> EntryId | None:
    return None if text is None else EntryId.parse(text)


def _cut_off(policy: RetainPolicy, at: datetime, now: datetime) -> datetime:
    try:
        return min(shift(at, policy.for_, policy.zone, -1), shift(now, policy.for_, policy.zone, -1))
    except (OverflowError, ValueError):
        return LONG_AGO


def views(observation: Observation, target: Target) -> list[View]:
    """Return all keys in care."""
    return views_of(observation.frames, target, observation.at)


def views_of(frames: Mapping[str, Sequence[Json]], target: Target, at: datetime) -> list[View]:
    """Return the views of frames that are still being read."""
    server = frames["server"][0]
    now = moment(server["now"]).astimezone(UTC)
    found = []
    for row in frames["streams"]:
        policy = target.streams[row["pattern"]].retain
        found.append(View(policy, row, server, now, _cut_off(policy, at, now)))
    return found
