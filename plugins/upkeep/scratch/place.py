"""A directory for a proof, its lock, and the server that runs in it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from upkeep import programs
from upkeep.errors import NotAvailableError, ProgramError
from upkeep.scratch.account import account

PREFIX: Final = "upkeep-scratch-"
_DRAFT: Final = ".upkeep-scratch-"
"""Not locked yet: it gets its name once it is."""
_DRAFT_SECONDS: Final = 3600
_RECORD: Final = ".servers.json"
START_SECONDS: Final = 60.0
_SIGNALLED: Final = 128
"""The status of a program that a signal ended: this and the signal's number (`upkeep.guard`)."""
_FREE_BESIDE: Final = 256 << 20
"""Stays free for others on the same disk."""


@dataclass(frozen=True, slots=True)
class ScratchServer:
    """A server program that runs in a place."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int | None:
        """Of the program itself, behind its guard; ``None``: it has ended."""
        return next((found.pid for found in _children(self.process.pid)), None)

    def said(self) -> str:
        """Return the end of what it printed."""
        with contextlib.suppress(OSError):
            lines = self.log.read_text(errors="replace").splitlines()[-5:]
            return "; ".join(programs.plain(line) for line in lines)
        return ""


@dataclass
class Place:
    """A directory that only the scratch servers' account (and root) may enter.

    Attributes
    ----------
    path
        Short, so that the path of a socket in it stays below 108 bytes.
    user
        The account that owns it, for `upkeep.programs.run`; ``None``: ours.
    """

    path: Path
    user: str | None
    reserved: int
    record: list[tuple[int, float]] = field(default_factory=list)

    def own(self, path: Path) -> Path:
        """Give a file or directory in it to the account, and return it."""
        if self.user is not None:
            os.chown(path, account().pw_uid, account().pw_gid, follow_symlinks=False)
        return path

    def folder(self, name: str) -> Path:
        """Make a directory in it."""
        path = self.path / name
        path.mkdir(mode=0o700)
        return self.own(path)

    def write(self, name: str, text: str) -> Path:
        """Write a file in it that only the account may read (a password, a configuration)."""
        path = self.path / name
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        return self.own(path)

    @contextmanager
    def server(
        self,
        command: Sequence[str | Path],
        *,
        ready: Callable[[], object],
        checkpoint: Callable[[], None],
        environment: Mapping[str, str] | None = None,
        stop: signal.Signals = signal.SIGTERM,
        seconds: float = START_SECONDS,
    ) -> Iterator[ScratchServer]:
        """Run a server until the block ends.

        Parameters
        ----------
        ready
            Returns once the server answers; raises anything while it does not.
        checkpoint
            Called while waiting; raises when the run must stop.
        stop
            What ends it in order.

        Raises
        ------
        NotAvailableError
            Somebody ended it, as the kernel does where memory is short.
        ProgramError
            It ended, or did not answer in time; the message has the end of what it printed.
        """
        log = self.path / f"{Path(command[0]).name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                programs.guarded(command, user=self.user, stop=stop),
                env=programs.environment_of({"HOME": str(self.path), **(environment or {})}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.path,
                start_new_session=True,
            )
        server = ScratchServer(process, log)
        try:
            self._wait(server, Path(command[0]).name, ready, checkpoint, seconds)
            yield server
        finally:
            programs.end(process)

    def _wait(
        self,
        server: ScratchServer,
        name: str,
        ready: Callable[[], object],
        checkpoint: Callable[[], None],
        seconds: float,
    ) -> None:
        until, asked = time.monotonic() + seconds, 0.0
        why: Exception | None = None
        while time.monotonic() < until and server.process.poll() is None:
            self._note(server.process.pid)
            if time.monotonic() - asked >= programs.CHECK_SECONDS:
                asked = time.monotonic()
                checkpoint()
            try:
                ready()
            except Exception as error:  # noqa: BLE001 - every driver has its own "not yet"
                why = error
                time.sleep(0.05)
            else:
                return
        ended = server.process.poll() or 0
        if ended > _SIGNALLED:
            raise NotAvailableError(f"the scratch server {name} was ended by signal {ended - _SIGNALLED}")
        raise ProgramError(f"the scratch server {name} does not start ({type(why).__name__}): {server.said()}")

    def _note(self, guard: int) -> None:
        """Write down who runs here, for the one who finds this place without its owner."""
        with contextlib.suppress(psutil.Error):
            found = [(process.pid, process.create_time()) for process in _children(guard)]
            if new := [entry for entry in found if entry not in self.record]:
                self.record += new
                self.write(_RECORD, json.dumps({"reserved": self.reserved, "servers": self.record}))


def _children(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).children()
    return []


def base() -> Path:
    """Return where places are: ``UPKEEP_SCRATCH``, or the system's temporary folder."""
    return Path(os.environ.get("UPKEEP_SCRATCH") or tempfile.gettempdir())


@contextmanager
def place(engine: str, *, reserve: int) -> Iterator[Place]:
    """Give an empty directory of its own, and remove it at the end of the block.

    Parameters
    ----------
    reserve
        How many bytes it may come to hold: they must be free, beside what others have reserved.

    Raises
    ------
    NotAvailableError
        There is no room, or the directory cannot be made.
    """
    sweep()
    look_for_room(reserve)
    user = account().pw_name if account().pw_uid != os.geteuid() else None
    try:
        path, lock = _make(engine)
    except OSError as error:
        raise NotAvailableError(
            f"no scratch directory can be made in {base()}: {error.strerror}; set UPKEEP_SCRATCH to another place"
        ) from error
    try:
        made = Place(path, user, reserve)
        made.write(_RECORD, json.dumps({"reserved": reserve, "servers": []}))
        made.own(path)
        _check_reachable(made)
        yield made
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _make(engine: str) -> tuple[Path, int]:
    """Make a directory and lock it; it has its name only once it is locked, so that nobody takes it for an orphan."""
    draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=base()))
    lock = os.open(draft, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path = draft.with_name(f"{PREFIX}{engine}-{draft.name.removeprefix(_DRAFT)}")
        draft.rename(path)
    except OSError:
        os.close(lock)
        draft.rmdir()
        raise
    return path, lock


def _check_reachable(made: Place) -> None:
    """Raise `NotAvailableError` when the account cannot enter a folder above."""
    if made.user is None:
        return
    for parent in made.path.resolve().parents:
        status = parent.stat()
        needed = 0o100 if status.st_uid == account().pw_uid else 0o010 if status.st_gid == account().pw_gid else 0o001
        if not status.st_mode & needed:
            raise NotAvailableError(
                f"{made.user}, who scratch servers of root's run as, may not enter {parent}: chmod o+x {parent}, or "
                "set UPKEEP_SCRATCH to another place"
            )


def look_for_room(reserve: int) -> None:
    """Raise `NotAvailableError` when a place that may come to hold so many bytes cannot be had now."""
    others = 0
    for path in base().glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            others += int(json.loads((path / _RECORD).read_text())["reserved"])
    try:
        free = shutil.disk_usage(base()).free
    except OSError as error:
        raise NotAvailableError(f"UPKEEP_SCRATCH is {base()}, which is not there: {error.strerror}") from error
    if free < reserve + others + _FREE_BESIDE:
        taken = f" ({others >> 20:,} MiB are reserved by others)" if others else ""
        raise NotAvailableError(
            f"a scratch server may need {reserve >> 20:,} MiB in {base()}, where {free >> 20:,} MiB are free{taken}: "
            "make room, or set UPKEEP_SCRATCH to a larger disk"
        )


def sweep() -> list[Path]:
    """Remove what killed processes have left: places whose lock nobody holds, with the servers in them."""
    gone = []
    for path in base().glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(lock).st_uid not in {os.geteuid(), account().pw_uid}:
                    continue
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises while its owner lives
                _end_servers(path)
                shutil.rmtree(path, ignore_errors=True)
                gone.append(path)
            finally:
                os.close(lock)
    for path in base().glob(f"{_DRAFT}*"):
        with contextlib.suppress(OSError):
            if time.time() - path.lstat().st_mtime > _DRAFT_SECONDS:
                path.rmdir()
    return gone


def _end_servers(path: Path) -> None:
    """Kill the servers that an orphan's record names, if they are still the same processes."""
    record: list[list[float]] = []
    with contextlib.suppress(OSError, ValueError, KeyError):
        record = json.loads((path / _RECORD).read_text())["servers"]
    for pid, started in record:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(int(pid))
            # The account may write into this directory: only its own processes are ended on its word.
            if process.uids().real == account().pw_uid and abs(process.create_time() - started) < 1:
                children = process.children(recursive=True)
                for member in (process, *children):
                    member.kill()
                psutil.wait_procs([process, *children], timeout=1)  # a zombie may stay, and holds nothing
