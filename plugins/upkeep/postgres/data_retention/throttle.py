"""Whether to wait before the next batch: the server says whether it can follow (replicas, WAL archiver)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import psycopg

from upkeep.jobs.contract import Checkpoint
from upkeep.jobs.data_retention.pace import Pace
from upkeep.jobs.errors import OverloadedError
from upkeep.postgres.session import PostgresSession

__all__ = ["Pace", "Throttle"]

MAX_LAG_SECONDS: Final = 10.0
"""A replica further behind is waited for."""
MAX_SEGMENTS: Final = 42
"""So many WAL segments waiting for the archiver (672 MB) are waited for (GitLab's signal)."""
LOOK_SECONDS: Final = 1.0
"""How often the server is asked."""
GIVE_UP_SECONDS: Final = 600.0
"""After so long of waiting in one piece the rest is left to the next run."""
LONGEST_SLEEP: Final = 15.0


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
            # No transaction is open here: a snapshot held now would keep the dead rows of the deletion from being
            # reused.
            self.sleep(step)
            spent += step
            self.waited += step
            step = min(step * 2, LONGEST_SLEEP)
        self._looked = time.monotonic()

    def _pressure(self) -> str | None:
        lag = self.session.rows("data_retention/pressure")[0]["lag_seconds"]
        if lag is not None and lag > MAX_LAG_SECONDS:
            return f"a replica is {lag:.0f} s behind"
        if self._archiver_visible():
            waiting = self.session.rows("data_retention/archiver")[0]["waiting"]
            if waiting > MAX_SEGMENTS:
                return f"{waiting} WAL segments wait for the archiver"
        return None

    def _archiver_visible(self) -> bool:
        if self._archiver is None:
            try:
                row = self.session.rows("data_retention/archiver_visible")[0]
                self._archiver = bool(row["archiving"] and row["visible"])
            # Not to be seen is not "behind": without the privilege nothing is waited for.
            except psycopg.errors.InsufficientPrivilege:
                self._archiver = False
        return self._archiver
