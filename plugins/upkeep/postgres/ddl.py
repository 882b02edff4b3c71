"""Statements that take strong locks, so that nobody waits behind them for long.

A statement waiting for a strong lock makes every later reader and writer wait behind it (pg_partman#626,
#604). So a wait is given up after a fraction of a second, everything rolls back, and it is tried again
later, with no transaction open in between; after a bounded number of tries `LockNotObtainedError` says so.

Locks are taken parent before child (pg_partman#796). Autovacuum on a table would hold such short waits
off for hours: it gives way only to someone who has waited for ``deadlock_timeout`` (1 s). So a *quiet*
lock (SHARE UPDATE EXCLUSIVE, which lets readers and writers pass) may be waited for longer first: that
sends autovacuum away, and the strong lock then meets only readers and writers.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

import psycopg
from psycopg import errors, sql

from upkeep.errors import UpkeepError
from upkeep.jobs.contract import Checkpoint
from upkeep.jobs.errors import LockNotObtainedError
from upkeep.postgres import holders
from upkeep.postgres.faults import TRANSIENT
from upkeep.postgres.session import LOCK_TIMEOUT, STATEMENT_TIMEOUT, PostgresSession

T = TypeVar("T")

QUIET_SECONDS: Final = 2.5
"""How long a quiet lock is waited for: over ``deadlock_timeout`` (1 s), so that autovacuum gives way."""


class HeldTooLongError(LockNotObtainedError):
    """A statement ran into the bound on how long a strong lock may be held; it was rolled back."""


@dataclass(frozen=True, slots=True)
class LockRetry:
    """How often and how long to try.

    Attributes
    ----------
    attempts, budget
        How often it is tried, and for how many seconds in all: then the next run is the better try.
    first_wait, last_wait
        Seconds that a strong lock is waited for, rising over the attempts: what others may have to wait behind us.
        80 ms and the statement's own few milliseconds stay under the 100 ms that Upkeep promises.
    first_sleep, last_sleep
        Seconds between attempts, doubling, with jitter so that two jobs do not meet again.
    hold
        Seconds that one statement may run under a strong lock.
    """

    attempts: int = 20
    budget: float = 45.0
    first_wait: float = 0.04
    last_wait: float = 0.08
    first_sleep: float = 0.1
    last_sleep: float = 3.0
    hold: float = 5.0

    def wait(self, attempt: int) -> float:
        """Return the lock time-out of an attempt (from 0), in seconds."""
        share = attempt / max(self.attempts - 1, 1)
        return self.first_wait + (self.last_wait - self.first_wait) * share

    def pause(self, attempt: int, jitter: float) -> float:
        """Return the sleep after an attempt, in seconds; ``jitter`` in [0, 1) takes up to half of it away."""
        return min(self.first_sleep * 2.0**attempt, self.last_sleep) * (1 - jitter / 2)


DEFAULT_RETRY: Final = LockRetry()


def attempt(
    session: PostgresSession,
    body: Callable[[], T],
    *,
    checkpoint: Checkpoint,
    sleep: Callable[[float], None],
    quiet: Sequence[sql.Composable] = (),
    retry: LockRetry = DEFAULT_RETRY,
    what: str = "",
) -> T:
    """Run ``body`` in one transaction under a short lock time-out, again and again until it gets its locks.

    Parameters
    ----------
    body
        Sends the statements; must be repeatable, and must lock parents before children.
    checkpoint
        Called before each attempt, with no transaction open.
    quiet
        Tables, parents first, that are locked in SHARE UPDATE EXCLUSIVE mode before, patiently.
    what
        For progress and for the error: what is being done.

    Raises
    ------
    LockNotObtainedError
        All attempts met other lock holders.
    HeldTooLongError
        A statement ran longer than ``retry.hold``.
    """
    last: psycopg.Error | None = None
    for number in _tries(retry, sleep):
        checkpoint(what)
        try:
            with session.transaction():
                # Patience comes first: while this lock is waited for, nobody has to wait behind us.
                _lock_quietly(session, quiet)
                # From here on others may wait behind us, so the bounds are short ones.
                _bound(session, retry.wait(number), retry.hold)
                return body()
        except TRANSIENT as error:
            last = error
        # statement_timeout, which `_bound` set for this transaction alone: its locks are gone with it.
        except errors.QueryCanceled as error:
            message = f"{what or 'a statement'} ran longer than {retry.hold:g} s under a lock; it was rolled back"
            raise HeldTooLongError(message) from error
    reason = (
        "another session holds it" if isinstance(last, errors.LockNotAvailable) else "it met others again and again"
    )
    message = f"{what or 'the lock'}: not obtained in {retry.budget:g} s ({reason}); the next run tries again"
    message += holders.held_by(session) if isinstance(last, errors.LockNotAvailable) else ""
    raise LockNotObtainedError(message) from last


def run(
    session: PostgresSession,
    statements: Iterable[sql.SQL | sql.Composed],
    *,
    checkpoint: Checkpoint,
    sleep: Callable[[float], None],
    quiet: Sequence[sql.Composable] = (),
    retry: LockRetry = DEFAULT_RETRY,
    what: str = "",
) -> None:
    """Send ``statements`` in one transaction, as `attempt` does."""
    known = list(statements)

    def body() -> None:
        for statement in known:
            session.execute(statement)

    attempt(session, body, checkpoint=checkpoint, sleep=sleep, quiet=quiet, retry=retry, what=what)


def run_alone(
    session: PostgresSession,
    statement: sql.SQL | sql.Composed,
    *,
    checkpoint: Checkpoint,
    sleep: Callable[[float], None],
    retry: LockRetry = DEFAULT_RETRY,
    lock_seconds: float | None = None,
    what: str = "",
) -> None:
    """Send a statement that takes no transaction around it (DETACH … CONCURRENTLY, VACUUM), with the same retries.

    Parameters
    ----------
    lock_seconds
        Lock time-out of every attempt, for statements whose waits let readers and writers pass.

    Raises
    ------
    LockNotObtainedError
        All attempts met other lock holders. What such a statement leaves half done is the caller's to finish.
    """

    # Such a statement refuses a transaction block, so SET LOCAL is out of reach: the session's own setting is changed.
    def wait_at_most(timeout: str) -> None:
        session.execute(session.statement("set_lock_timeout", timeout=sql.Literal(timeout)))

    last: psycopg.Error | None = None
    for number in _tries(retry, sleep):
        checkpoint(what)
        seconds = retry.wait(number) if lock_seconds is None else lock_seconds
        wait_at_most(_milliseconds(seconds))
        try:
            session.execute(statement)
        except TRANSIENT as error:
            last = error
        else:
            return
        finally:
            # Or every later statement would give up as early as this one.
            if not session.connection.closed:
                wait_at_most(LOCK_TIMEOUT)
    message = f"{what or 'the lock'}: not obtained in {retry.budget:g} s; the next run tries again"
    message += holders.held_by(session) if isinstance(last, errors.LockNotAvailable) else ""
    raise LockNotObtainedError(message) from last


def lock(session: PostgresSession, table: sql.Composable, mode: str) -> None:
    """Lock a table in the running transaction; ``mode`` as in SQL, e.g. ``access exclusive``."""
    # The mode stands in the statement as it is: it is no name that the driver could quote.
    if mode not in _MODES:
        raise ValueError(mode)
    session.execute(session.statement("lock_table", table=table, mode=sql.SQL(_MODES[mode])))


def lock_tree(session: PostgresSession, table: sql.Composable, mode: str) -> None:
    """Lock a table and all its partitions in the running transaction, as `lock` does."""
    if mode not in _MODES:
        raise ValueError(mode)
    session.execute(session.statement("lock_tree", table=table, mode=sql.SQL(_MODES[mode])))


@contextmanager
def building(session: PostgresSession, *, lock: str, tablespace: str | None = None) -> Iterator[None]:
    """Let the session build an index: as long as it takes, where it lay; ``lock``: how long others are waited for."""
    session.rows("build_settings", {"tablespace": tablespace or "", "statement": "0", "lock": lock})
    try:
        yield
    finally:
        if not session.connection.closed:
            own = {"tablespace": "", "statement": STATEMENT_TIMEOUT, "lock": LOCK_TIMEOUT}
            with contextlib.suppress(UpkeepError, psycopg.Error):
                session.rows("build_settings", own)


_MODES: Final = {
    "share update exclusive": "share update exclusive",
    "share row exclusive": "share row exclusive",
    "exclusive": "exclusive",
    "access exclusive": "access exclusive",
}


def _tries(retry: LockRetry, sleep: Callable[[float], None]) -> Iterator[int]:
    """Yield the number of each attempt, sleeping in between, until attempts or seconds are used up."""
    end = time.monotonic() + retry.budget
    for number in range(retry.attempts):
        if number:
            # With no transaction open: who waited behind the last attempt goes on now.
            sleep(retry.pause(number - 1, random.random()))  # noqa: S311 - jitter
        if number and time.monotonic() > end:
            return
        yield number


def _lock_quietly(session: PostgresSession, tables: Sequence[sql.Composable]) -> None:
    if not tables:
        return
    # The statement's time-out is the longer one, or it would always come first (PostgreSQL 16, 20.11.1: lock_timeout).
    _bound(session, QUIET_SECONDS, QUIET_SECONDS * 2)
    for table in tables:
        lock(session, table, "share update exclusive")


def _bound(session: PostgresSession, lock_seconds: float, hold_seconds: float) -> None:
    session.rows("set_local_timeouts", {"lock": _milliseconds(lock_seconds), "statement": _milliseconds(hold_seconds)})


def _milliseconds(seconds: float) -> str:
    return f"{max(round(seconds * 1000), 1)}ms"
