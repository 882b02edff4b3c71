"""Stopping a run from outside: Ctrl-C, a cancelled task, a signal."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from upkeep.engines import Session
from upkeep.errors import CancelledError


@dataclass
class Stop:
    """Whether the run was asked to stop, and whose statements are to be cancelled then."""

    _event: threading.Event = field(default_factory=threading.Event)
    _sessions: list[Session] = field(default_factory=list)

    @property
    def asked(self) -> bool:
        """Whether the run was asked to stop."""
        return self._event.is_set()

    def cancel(self) -> None:
        """Ask the run to stop and cancel its running statement on the server; callable from a signal handler."""
        self._event.set()
        for session in tuple(self._sessions):
            session.cancel()

    @contextmanager
    def watching(self, session: Session) -> Iterator[None]:
        """Let `cancel` reach this session too."""
        self._sessions.append(session)
        try:
            yield
        finally:
            self._sessions.remove(session)

    def raise_if_asked(self) -> None:
        """Raise `CancelledError` when the run was asked to stop."""
        if self.asked:
            raise CancelledError("the run was asked to stop; what was committed stays, the next run goes on from there")

    def wait(self, seconds: float) -> None:
        """Sleep, ending early with `CancelledError` when the run is asked to stop."""
        if self._event.wait(seconds):
            self.raise_if_asked()
