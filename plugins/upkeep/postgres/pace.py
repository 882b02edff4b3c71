"""How big the next batch is, and whether to wait before it.

A batch should take about half a second: long enough that commits cost little, short enough that nobody
waits for its row locks. Between batches the server says whether it can follow: replicas, WAL archiver.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import psycopg

from upkeep.errors import UpkeepError

if TYPE_CHECKING:
    from collections.abc import Callable

    from upkeep.jobs import Checkpoint
    from upkeep.postgres.session import PostgresSession

TARGET_SECONDS: Final = 0.5
SMALLEST: Final = 500
LARGEST: Final = 50_000
"""More rows in one transaction would make replicas and the WAL archiver move in jerks."""
FIRST: Final = 10_000
SMOOTHING: Final = 0.4
"""Weight of the newest batch in the moving rate (as GitLab's batch optimizer)."""
MAX_GROWTH: Final = 2.0
MAX_LAG_SECONDS: Final = 10.0
"""A replica further behind is waited for."""
MAX_SEGMENTS: Final = 42
"""So many WAL segments waiting for the archiver (672 MB) are waited for (GitLab's signal)."""
LOOK_SECONDS: Final = 1.0
"""How often the server is asked."""
GIVE_UP_SECONDS: Final = 600.0
"""After so long of waiting in one piece the rest is left to the next run."""
LONGEST_SLEEP: Final = 15.0


class OverloadedError(UpkeepError):
    """The server could not follow for a long time; what is done is done, the next run goes on."""

    exit_status = 3


@dataclass
class Pace:
    """The size of the next batch, learnt from those before.

    Attributes
    ----------
    size
        Rows that the next batch should have.
    """

    size: int = FIRST
    rate: float | None = None

    def learn(self, rows: int, seconds: float) -> None:
        """Take what a batch of ``rows`` took; small rests at the end of a range teach nothing."""
        if rows < SMALLEST or seconds <= 0:
            return
        newest = rows / seconds
        self.rate = newest if self.rate is None else SMOOTHING * newest + (1 - SMOOTHING) * self.rate
        wanted = min(self.rate * TARGET_SECONDS, self.size * MAX_GROWTH)
        self.size = int(min(max(wanted, SMALLEST), LARGEST))

    def shrink(self) -> bool:
        """Halve the batch after trouble; return whether that was possible."""
        smaller = max(self.size // 2, SMALLEST)
        possible = smaller < self.size
        self.size, self.rate = smaller, None
        return possible


@dataclass
class Throttle:
    """Waits, between batches and with no transaction open, while replicas or the WAL archiver are behind."""

    session: PostgresSession
    checkpoint: Checkpoint
    sleep: Callable[[float], None]
    waited: float = 0.0
    _looked: float = field(default=0.0, repr=False)
    _archiver: bool | None = field(default=None, repr=False)

    def pause(self) -> None:
        """Wait as long as needed. Raises `OverloadedError` after `GIVE_UP_SECONDS`."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        spent, step = 0.0, 1.0
        while reason := self._pressure():
            if spent >= GIVE_UP_SECONDS:
                raise OverloadedError(f"{reason} for {spent:.0f} s: the rest is left to the next run")
            self.checkpoint(f"waiting: {reason}")
            self.sleep(step)
            spent += step
            self.waited += step
            step = min(step * 2, LONGEST_SLEEP)
        self._looked = time.monotonic()

    def _pressure(self) -> str | None:
        lag = self.session.rows("retention_pressure")[0]["lag_seconds"]
        if lag is not None and lag > MAX_LAG_SECONDS:
            return f"a replica is {lag:.0f} s behind"
        if self._archiver_visible():
            waiting = self.session.rows("retention_archiver")[0]["waiting"]
            if waiting > MAX_SEGMENTS:
                return f"{waiting} WAL segments wait for the archiver"
        return None

    def _archiver_visible(self) -> bool:
        if self._archiver is None:
            try:
                row = self.session.rows("retention_archiver_visible")[0]
                self._archiver = bool(row["archiving"] and row["visible"])
            except psycopg.errors.InsufficientPrivilege:
                self._archiver = False
        return self._archiver
