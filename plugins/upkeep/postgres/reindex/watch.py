"""A statement that takes hours, while the run goes on asking whether it may, and looks after who waits behind it.

The statement runs in a thread of its own; a second connection tells how far it is. Whoever waits for a strong lock on
the table keeps all its writers waiting in turn, so the statement gives way to them.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
from psycopg import sql

from upkeep.errors import UpkeepError
from upkeep.jobs.contract import Work
from upkeep.jobs.errors import LockNotObtainedError
from upkeep.postgres.holders import one
from upkeep.postgres.session import PostgresSession, Row

LOOK_SECONDS: Final = 1.0
"""How often it is looked at."""
PATIENCE_SECONDS: Final = 1.0
"""So long somebody may wait behind it for a lock that keeps writers waiting; then it gives way."""
GONE: Final = "5s"
"""How soon the server ends the statement of a run that was killed."""
_CANCEL_SECONDS: Final = 5.0


@dataclass
class _Sent:
    """A statement on its way in a thread."""

    session: PostgresSession
    statement: sql.Composed
    params: dict[str, Any] | None
    error: BaseException | None = None
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._send, name="upkeep statement", daemon=True)
        self.thread.start()

    def _send(self) -> None:
        try:
            self.session.execute(self.statement, self.params)
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self.error = error

    def over(self, seconds: float) -> bool:
        """Return whether it is over, within so many seconds. Raises what it raised."""
        self.thread.join(seconds)
        if self.thread.is_alive():
            return False
        if self.error is not None:
            raise self.error
        return True

    def cancel(self) -> None:
        """Cancel it on the server, and wait until it is over."""
        while self.thread.is_alive():
            with contextlib.suppress(psycopg.Error, OSError):
                self.session.connection.cancel_safe(timeout=_CANCEL_SECONDS)
            self.thread.join(_CANCEL_SECONDS)


def watched(
    work: Work[PostgresSession],
    statement: sql.Composed,
    *,
    table: int,
    what: str,
    params: dict[str, Any] | None = None,
) -> None:
    """Send a statement that takes long, with a checkpoint and a look at it every second.

    Parameters
    ----------
    table
        Whom it may not keep waiting.
    what
        For progress: what is done.

    Raises
    ------
    LockNotObtainedError
        It gave way to somebody who waited behind it.
    """
    with work.session.beside("watch") as watcher:
        with contextlib.suppress(psycopg.Error):  # not every system can notice that
            work.session.rows("reindex/watched", {"interval": GONE})
        sent = _Sent(work.session, statement, params)
        try:
            while not sent.over(LOOK_SECONDS):
                row = _look(watcher, work.session.backend_pid, table)
                work.checkpoint(f"{what}{said(row)}")
                _give_way(row, what)
        except BaseException:
            sent.cancel()
            raise


def _give_way(row: Row | None, what: str) -> None:
    if row is not None and row["pid"] is not None:
        raise LockNotObtainedError(f"{what}: gave way to {one(row)}, who waited for its table")


def _look(watcher: PostgresSession, pid: int, table: int) -> Row | None:
    """Return how far it is; ``None``: that could not be seen just now."""
    with contextlib.suppress(psycopg.Error, UpkeepError):
        return watcher.rows("reindex/progress", {"pid": pid, "table": table, "seconds": PATIENCE_SECONDS})[0]
    return None


def said(row: Row | None) -> str:
    """Return how far a building is, as the end of a sentence.

    >>> phase = {"phase": "building index: scanning table", "blocks_done": 50, "blocks_total": 200}
    >>> none = {"lockers_total": 0, "lockers_done": 0, "tuples_total": 0, "tuples_done": 0}
    >>> said({**phase, **none}), said(None)
    (': building index: scanning table, 25 %', '')
    """
    if row is None or row["phase"] is None:
        return ""
    for kind in ("lockers", "blocks", "tuples"):
        total, done = row[f"{kind}_total"], row[f"{kind}_done"]
        if total:
            share = f"{done} of {total} transactions" if kind == "lockers" else f"{done * 100 // total} %"
            return f": {row['phase']}, {share}"
    return f": {row['phase']}"
