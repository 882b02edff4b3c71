"""Values that tests make by hand: an observation, a clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from upkeep.model import Observation, ServerFacts


def observation(*, identity: str, version: str, at: datetime, **rest: Any) -> Observation:
    """Return an observation of a server that is a primary and of a tested version."""
    server = ServerFacts(identity=identity, version=version, tested=True, replica=False, role="upkeep", clock=at)
    return Observation(at=at, server=server, **rest)


@dataclass
class Clock:
    """The real time, moved forward by hand."""

    ahead: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead
