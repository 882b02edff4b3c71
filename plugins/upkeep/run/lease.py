"""One run of a kind per physical database: fenced locks in the control database, each with a name.

A lease is named for what is done under it: a change, a backup, the warming of a cache. Only equal names exclude each
other. Where one must not go on beside another (no DROP beside a dump), its holder shares the other's lock meanwhile
(`Lease.beside`): then that cannot begin, and what runs already is seen.

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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from upkeep.engines import Address
from upkeep.errors import LeaseBusyError, LeaseLostError, LedgerError
from upkeep.ledger.control import Control
from upkeep.model import LeaseName

_DONE: Final[Mapping[LeaseName, str]] = {
    "change": "changed",
    "backup": "backed up",
    "warm": "warmed",
    "verify": "verified",
}
"""Name → what is done to the database under it, for people."""
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
    """The right to do one kind of work on one physical database.

    Attributes
    ----------
    name
        What is done: ``change``, ``backup`` or ``warm``.
    token
        The fence token: higher than that of every earlier holder.
    """

    identity: str
    name: LeaseName
    token: int
    _control: Control = field(repr=False)
    _backend_pid: int = field(repr=False)
    _shared: list[int] = field(default_factory=list, repr=False)
    _released: bool = field(default=False, repr=False)
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def verify(self) -> None:
        """Ask the server, in one round trip, whether the lease is still held.

        Raises
        ------
        LeaseLostError
            The connection is gone or answered by another session, the lock (or one that is shared) is not held
            any more, or somebody has taken it since. Nothing may be changed after that.
        """
        if self._released:
            raise LeaseLostError(f"{self} was given back already")
        try:
            (row,) = self._control.fetch(
                "lease_verify",
                identity=self.identity,
                lease=self.name,
                backend_pid=self._backend_pid,
                keys=[_key(self.identity, self.name), *self._shared],
            )
        except LedgerError as error:
            raise LeaseLostError(f"{self} cannot be verified: {error}; the run stops") from None
        if row["newest_token"] != self.token:
            raise LeaseLostError(f"another run has taken {self} since; this run stops")
        if not (row["same_session"] and row["locked"]):
            raise LeaseLostError(f"{self} is not held any more; the run stops")

    @contextmanager
    def beside(self, names: Sequence[LeaseName]) -> Iterator[str | None]:
        """Let nothing begin, while this lasts, that goes by one of these names; never waits.

        Yields
        ------
        str | None
            ``None`` when it is so; else who is at it already, since when: then nothing is held.

        Raises
        ------
        LeaseLostError
            The control database cannot be asked, so the lease is gone too.
        """
        held: list[int] = []
        try:
            yield self._share(names, held)
        finally:
            for key in held:
                self._shared.remove(key)
                with contextlib.suppress(LedgerError):  # a lost session shares nothing; the next checkpoint tells
                    self._control.write("lease_unshare", key=key)

    def _share(self, names: Sequence[LeaseName], held: list[int]) -> str | None:
        try:
            for name in names:
                key = _key(self.identity, name)
                (row,) = self._control.write("lease_share", key=key, waiting=_wanted(self.identity, name))
                if not row["taken"]:
                    return f"{self.identity} is {_holder(self._control, self.identity, name)}"
                held.append(key)
                self._shared.append(key)
        except LedgerError as error:
            raise LeaseLostError(f"{self} cannot be verified: {error}; the run stops") from None
        return None

    def __str__(self) -> str:
        """Name it, for people."""
        return f"the {self.name} lease on {self.identity}"

    def release(self) -> None:
        """Give the lease back; never raises, and does nothing the second time."""
        with self._guard:
            if self._released:
                return
            self._released = True
        with contextlib.suppress(LedgerError):  # a lost connection has given it back already
            key = _key(self.identity, self.name)
            self._control.write("lease_release", identity=self.identity, lease=self.name, token=self.token, key=key)
        self._control.close()


@contextmanager
def exclusive(
    address: Address,
    identity: str,
    *,
    name: LeaseName = "change",
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
    name
        What is done: ``change``, ``backup`` or ``warm``; only equal names exclude each other.
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
        deadline = time.monotonic() + deadline_seconds
        _take(control, identity, name, deadline, waiting or _ignore, cancelled or _continue)
        (row,) = control.write("lease_begin", identity=identity, lease=name, owner=owner)
        lease = Lease(identity, name, row["token"], control, row["backend_pid"])
    except BaseException:
        control.close()
        raise
    try:
        lease.verify()
        yield lease
    finally:
        lease.release()


def _take(  # noqa: PLR0917 - what is taken, until when, and who is told
    control: Control,
    identity: str,
    name: LeaseName,
    deadline: float,
    waiting: Callable[[str], None],
    cancelled: Callable[[], None],
) -> None:
    began, pause, said = time.monotonic(), _FIRST_WAIT, ""
    while True:
        cancelled()
        # Asked again and again instead of waiting inside the server: a waiting session answers no signal of
        # ours, and holds a snapshot back for as long.
        (row,) = control.write("lease_try", key=_key(identity, name))
        if row["taken"]:
            return
        if not said:
            control.write("lease_wait", key=_wanted(identity, name))
        holder = _holder(control, identity, name)
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


def _holder(control: Control, identity: str, name: LeaseName) -> str:
    rows = control.fetch("lease_holder", identity=identity, lease=name, key=_key(identity, name))
    if not rows:
        return f"being {_DONE[name]} by another run, or about to be"
    (row,) = rows
    return f"being {_DONE[row['name']]} by {row['owner']} since {row['acquired_at']:%Y-%m-%d %H:%M:%S %Z}"


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


def _key(identity: str, name: LeaseName) -> int:
    """Return the 64-bit key of the advisory lock."""
    # The key of a change has no name in it: so earlier versions of Upkeep know it, and are excluded, too.
    return _hashed(f"upkeep lease {identity}" if name == "change" else f"upkeep {name} lease {identity}")


def _wanted(identity: str, name: LeaseName) -> int:
    """Return the key of the advisory lock that those share who wait for the other."""
    return _hashed(f"upkeep {name} lease wanted {identity}")


def _hashed(text: str) -> int:
    # An advisory lock's key is a signed 64-bit number. Two databases with the same key would wait for each other,
    # which is harmless.
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


def _ignore(_text: str) -> None:
    """Nobody is told."""


def _continue() -> None:
    """Nobody cancels."""
