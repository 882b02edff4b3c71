"""How big the next batch is.

A batch should take about half a second: long enough that commits cost little, short enough that nobody
waits for its row locks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

TARGET_SECONDS: Final = 0.5
SMALLEST: Final = 500
LARGEST: Final = 50_000
"""More rows in one transaction would make replicas and the WAL archiver move in jerks."""
FIRST: Final = 10_000
SMOOTHING: Final = 0.4
"""Weight of the newest batch in the moving rate (as GitLab's batch optimizer)."""
MAX_GROWTH: Final = 2.0


@dataclass
class Pace:
    """The size of the next batch, learnt from those before.

    Attributes
    ----------
    size
        Rows that the next batch should have.
    target, largest
        Seconds that a batch should take, and the most rows in one (``None``: `LARGEST`).
    """

    size: int = FIRST
    target: float = TARGET_SECONDS
    largest: int | None = None
    rate: float | None = None

    def learn(self, rows: int, seconds: float) -> None:
        """Take what a batch of ``rows`` took; small rests at the end of a range teach nothing."""
        if rows < SMALLEST or seconds <= 0:
            return
        # smoothed: one slow batch (a checkpoint, a compaction) must not make all that follow tiny
        newest = rows / seconds
        self.rate = newest if self.rate is None else SMOOTHING * newest + (1 - SMOOTHING) * self.rate
        # at most doubled: a few fast batches from a warm cache say little of ten times as many rows
        wanted = min(self.rate * self.target, self.size * MAX_GROWTH)
        self.size = int(min(max(wanted, SMALLEST), self.largest or LARGEST))

    def shrink(self, smallest: int = SMALLEST) -> bool:
        """Halve the batch after trouble, to not less than ``smallest`` rows; return whether that was possible."""
        smaller = min(max(self.size // 2, smallest), self.size)
        possible = smaller < self.size
        # what was learnt before the trouble no longer holds
        self.size, self.rate = smaller, None
        return possible
