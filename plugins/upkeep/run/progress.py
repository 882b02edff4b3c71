"""How far a running action has come: what a run tells, as lines for a terminal, and fewer of them for a log."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

from upkeep.words import count

LOG_SECONDS: Final = 10.0
"""Between two lines about the batches of one action in a log; a terminal is told of each batch."""
ALIKE_SECONDS: Final = 5.0
"""Between two lines of the same kind in the log of a whole fleet; what fails is always a line."""
_ALWAYS: Final = ("FAILED", "failed", "unreachable")


class Progress(Protocol):
    """Told what happens, for people who watch."""

    def __call__(self, target: str, message: str, *, rows: int = 0, total: int | None = None) -> None:
        """Take a line of progress.

        Parameters
        ----------
        rows
            Touched since the last call.
        total
            An action begins, which expects to touch so many (0: not known).
        """


class Meter:
    """Counts the rows of the action that is running.

    Parameters
    ----------
    alike_seconds
        Between two lines of the same kind ("observed …", "create partition …") in a log.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, alike_seconds: float = ALIKE_SECONDS) -> None:
        self._clock = clock
        self._alike_seconds = alike_seconds
        self._told: dict[str, float] = {}
        self._what = ""
        self._total: int | None = None
        self._rows = 0
        self._began = self._logged = clock()

    def tell(self, target: str, message: str, *, rows: int = 0, total: int | None = None) -> tuple[str, bool]:
        """Take what a run says, and return the line about it, and whether a log has room for it.

        Parameters
        ----------
        rows
            Touched since the last call.
        total
            An action begins, which expects to touch so many (0: not known).
        """
        now = self._clock()
        if total is not None:
            self._what, self._total, self._rows = message, total, 0
            self._began = self._logged = now
        self._rows += rows
        if not rows:
            return f"{target}: {message}", self._is_due(message, now)
        due = now - self._logged >= LOG_SECONDS
        if due:
            self._logged = now
        return f"{target}: {self._what or message}: {self._progress(now - self._began)}", due

    def _is_due(self, message: str, now: float) -> bool:
        kind = message.split(maxsplit=1)[0] if message else ""
        due = now - self._told.get(kind, -self._alike_seconds) >= self._alike_seconds
        if due:
            self._told[kind] = now
        return due or any(word in message for word in _ALWAYS)

    def _progress(self, seconds: float) -> str:
        done = f"{count(self._rows)} rows"
        if self._total and self._rows <= self._total:
            done = f"{count(self._rows)} of ~{count(self._total)} rows, {self._rows * 100 // self._total} %"
        return f"{done}, {count(round(self._rows / seconds))} rows/s" if seconds >= 1 else done
