"""One changing run per physical database: a fenced lock in the control database.

The lock is a session-level advisory lock on a control connection of its own, so the server gives it back
when the process dies, however it dies. Beside it a fence token rises with each acquisition: `Lease.verify`
compares it before every batch, so a holder that lost its session without noticing stops before it changes
anything more.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from upkeep.engines import Address
from upkeep.errors import LeaseBusyError, LeaseLostError, LedgerError
from upkeep.ledger.control import Control

_FIRST_WAIT = 0.05
_LONGEST_WAIT = 1.0
"""Seconds between two tries: short enough that a freed lock is taken at once, long enough to cost nothing."""
_POOL_PROBES = 3
_POOLED = (
    "leads to a pooler that lends sessions for single transactions (PgBouncer's pool_mode = transaction): a lock "
    "cannot be held there; connect to the server itself, or through a pool with pool_mode = session"
)


@dataclass(slots=True)
class Lease:
    """The right to change one physical database.

    Attributes
    ----------
    token
        The fence token: higher than that of every earlier holder.
    """

    identity: str
    token: int
    _control: Control = field(repr=False)
    _backend_pid: int = field(repr=False)
    _released: bool = field(default=False, repr=False)
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def verify(self) -> None:
        """Ask the server, in one round trip, whether the lease is still held.

        Raises
        ------
        LeaseLostError
            The connection is gone or answered by another session, the lock is not held any more, or somebody
            has taken it since. Nothing may be changed after that.
        """
        if self._released:
            raise LeaseLostError(f"the lease on {self.identity} was given back already")
        try:
            (row,) = self._control.fetch(
                "lease_verify", identity=self.identity, backend_pid=self._backend_pid, key=_key(self.identity)
            )
        except LedgerError as error:
            raise LeaseLostError(f"the lease on {self.identity} cannot be verified: {error}; the run stops") from None
        if row["newest_token"] != self.token:
            raise LeaseLostError(f"another run has taken the lease on {self.identity} since; this run stops")
        if not (row["same_session"] and row["locked"]):
            raise LeaseLostError(f"the lock on {self.identity} is not held any more; the run stops")

    def release(self) -> None:
        """Give the lease back; never raises, and does nothing the second time."""
        with self._guard:
            if self._released:
                return
            self._released = True
        with contextlib.suppress(LedgerError):  # a lost connection has given it back already
            self._control.write("lease_release", identity=self.identity, token=self.token, key=_key(self.identity))
        self._control.close()


@contextmanager
def exclusive(
    address: Address,
    identity: str,
    *,
    owner: str,
    deadline_seconds: float,
    waiting: Callable[[str], None] | None = None,
    cancelled: Callable[[], None] | None = None,
) -> Iterator[Lease]:
    """Hold the lease on a physical database.

    Parameters
    ----------
    address
        The control database.
    identity
        The physical database, as `Session.identity` names it.
    owner
        Who holds it, for those who wait.
    deadline_seconds
        How long to wait for another holder.
    waiting
        Told whom we wait for, at first and whenever that changes.
    cancelled
        Called before each try; raises when the run must stop.

    Raises
    ------
    LeaseBusyError
        Still held by another run at the deadline; names it, and since when.
    LedgerError
        The control database cannot be reached, or lends its sessions for single transactions only.
    """
    # Never revived: the lock dies with its session (PostgreSQL 16, 13.3.5), so a new session would hold nothing.
    control = Control(address, application="upkeep lease", revive=False)
    try:
        _refuse_transaction_pool(control, address)
        _take(control, identity, time.monotonic() + deadline_seconds, waiting or _ignore, cancelled or _continue)
        (row,) = control.write("lease_begin", identity=identity, owner=owner)
        lease = Lease(identity, row["token"], control, row["backend_pid"])
    except BaseException:
        control.close()
        raise
    try:
        lease.verify()
        yield lease
    finally:
        lease.release()


def _take(
    control: Control, identity: str, deadline: float, waiting: Callable[[str], None], cancelled: Callable[[], None]
) -> None:
    began, pause, said = time.monotonic(), _FIRST_WAIT, ""
    while True:
        cancelled()
        # Asked again and again instead of waiting inside the server: a waiting session answers no signal of
        # ours, and holds a snapshot back for as long.
        (row,) = control.write("lease_try", key=_key(identity))
        if row["taken"]:
            return
        holder = _holder(control, identity)
        if holder != said:
            said = holder
            waiting(f"waiting for {identity}: {holder}")
        left = deadline - time.monotonic()
        if left <= 0:
            raise LeaseBusyError(
                f"{identity} is {holder}; waited {time.monotonic() - began:.0f} s: "
                "let that run end, or stop it, then run again"
            )
        time.sleep(min(pause, left))
        pause = min(pause * 2, _LONGEST_WAIT)


def _holder(control: Control, identity: str) -> str:
    rows = control.fetch("lease_holder", identity=identity)
    if not rows:
        return "being changed by another run"
    return f"being changed by {rows[0]['owner']} since {rows[0]['acquired_at']:%Y-%m-%d %H:%M:%S %Z}"


def _refuse_transaction_pool(control: Control, address: Address) -> None:
    """Raise `LedgerError` when a pooler answers each transaction from another session.

    A pooler announces a made-up process id when a client connects. Where the announced id is the real one
    nothing stands between. Else a second connection keeps a session busy: if that is ours, or ours is
    another one afterwards, sessions are lent for single transactions, and a lock would belong to nobody.
    """
    (first,) = control.fetch("lease_session")
    if first["backend_pid"] == control.backend_pid:
        return
    other = Control(address, application="upkeep lease probe", revive=False)
    try:
        for _ in range(_POOL_PROBES):
            with other.transaction():
                (borrowed,) = other.fetch("lease_session")
                (again,) = control.fetch("lease_session")
            if borrowed["backend_pid"] == first["backend_pid"] or again["backend_pid"] != first["backend_pid"]:
                raise LedgerError(f"connection '{address.connection_id}' {_POOLED}")
    finally:
        other.close()


def _key(identity: str) -> int:
    """Return the 64-bit key of the advisory lock."""
    # An advisory lock's key is a signed 64-bit number. Two databases with the same key would wait for each other,
    # which is harmless.
    return int.from_bytes(hashlib.sha256(f"upkeep lease {identity}".encode()).digest()[:8], "big", signed=True)


def _ignore(_text: str) -> None:
    """Nobody is told."""


def _continue() -> None:
    """Nobody cancels."""
