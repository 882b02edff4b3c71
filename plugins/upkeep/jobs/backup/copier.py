"""What an engine's room offers for backups; all that is alike is in the modules beside this one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from upkeep import programs
from upkeep.engines import Address, Session
from upkeep.errors import NotAvailableError, ProgramError
from upkeep.fleet import Target
from upkeep.fleet.policies.backup import BackupPolicy
from upkeep.jobs.backup.manifest import Contents, Manifest
from upkeep.jobs.backup.marks import Marks
from upkeep.jobs.contract import Ask, Work
from upkeep.jobs.outcomes import Classify
from upkeep.model import Json
from upkeep.programs import Output

S = TypeVar("S", bound=Session)
T = TypeVar("T")
_LOOK_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Bench:
    """What work on a backup is given beside the backup itself.

    Attributes
    ----------
    checkpoint
        Raises when the work must stop; called each second while a program runs.
    tell
        Says how far it is.
    seconds
        How long one program may run.
    """

    checkpoint: Callable[[], None]
    tell: Callable[[str], None]
    seconds: float | None = None

    def run(self, command: Sequence[str], **options: Any) -> Output:
        """Run a program; see `upkeep.programs.run`."""
        return programs.run(command, checkpoint=self.checkpoint, **{"seconds": self.seconds, **options})

    def side_by_side(
        self, threads: int, work: Sequence[Callable[[Bench], T]], what: str, end: Callable[[], None] = lambda: None
    ) -> list[T]:
        """Do parts of the work in threads, and return what they return; when one fails, the others end.

        Parameters
        ----------
        work
            Each is given a bench of its own, whose checkpoint raises once the others have ended.
        what
            Said of the parts that are done: "files are loaded".
        end
            Called when all must end: stops what a thread waits for.

        Raises
        ------
        ProgramError
            It took longer than it may.
        """
        stop, started = threading.Event(), time.monotonic()

        def checkpoint() -> None:
            if stop.is_set():
                raise ProgramError("it was ended, because another part of the work was")

        with ThreadPoolExecutor(threads) as pool:
            parts = [pool.submit(do, Bench(checkpoint, lambda _: None)) for do in work]
            left = set(parts)
            try:
                while left:
                    done, left = wait(left, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED)
                    for part in done:
                        part.result()
                    self.checkpoint()
                    self._within(started)
                    if done:
                        self.tell(f"{len(parts) - len(left)} of {len(parts)} {what}")
            except BaseException:
                stop.set()
                for part in parts:
                    part.cancel()
                end()
                raise
        return [part.result() for part in parts]

    def _within(self, started: float) -> None:
        if self.seconds is not None and time.monotonic() - started > self.seconds:
            raise ProgramError(f"it took longer than it may ({self.seconds:,.0f} s), and was ended")


def unavailable(*looks: Callable[[], object]) -> Iterator[str]:
    """Yield why what is looked for is not available here: each look raises `NotAvailableError`, or is fine."""
    for look in looks:
        try:
            look()
        except NotAvailableError as error:
            yield str(error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What was seen of a database before it is backed up.

    Attributes
    ----------
    bytes
        About so large it is.
    refusals
        Why it cannot be backed up, and what to do.
    lacks
        What of the server would not be in the backup, in words.
    command
        The command that would be run, without any secret, for people.
    lock
        What it locks, in words.
    """

    bytes: int
    database: str
    command: str
    lock: str
    refusals: tuple[tuple[str, str], ...] = ()
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(Generic[S]):
    """A backup to take.

    Attributes
    ----------
    place
        An empty directory of its own, which the tool's files go into.
    compared
        When each object was compared last, by name: who waited longest is compared first.
    """

    work: Work[S]
    policy: BackupPolicy
    place: Path
    bench: Bench
    compared: Mapping[str, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A backup that was taken; the files are in the place, and closed. The rest as in `Manifest`."""

    snapshot_at: datetime
    tool: str
    tool_version: str
    server_version: str
    database: str
    position: Json
    objects: tuple[Contents, ...]
    needs: Json
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Copier(Generic[S]):
    """Backups of one engine: what the package ``<engine>/backup`` offers as ``COPIER``.

    ``place`` is always the folder that holds what the tool wrote.

    Attributes
    ----------
    tool
        Its name.
    classify
        The room's word on the errors of its driver (``faults.classify``).
    survey
        Looks, changes nothing.
    take
        Takes a backup at one snapshot. Expected trouble raises an `ActionError` of the house.
    count
        Reads all the files as their tool would, and counts the rows of each object in them.
        Raises `upkeep.jobs.backup.verify.DamagedError`.
    restored
        Restores into a scratch server of its own (`upkeep.scratch`), and gives its address. Raises
        `upkeep.errors.NotAvailableError` where such a server cannot be had, `DamagedError` where it cannot
        be restored.
    missing
        What this machine lacks of what ``restored`` needs, in words; starts no server.
    look
        What is in a restored database; checksums only where the manifest has one.
    restore
        Restores into an empty database of somebody's. Raises `ConfigurationError` where it is not empty.
    instructions
        How to restore it with plain tools, for ``RESTORE.txt``.
    marks
        Reads from a restored database the marks of what may only go with a backup, by the target's policies; without
        it a backup's marks are not needed, or nothing is authorised.
    """

    tool: str
    classify: Classify
    survey: Callable[[Ask[S]], Survey]
    take: Callable[[Order[S]], Taken]
    count: Callable[[Path, Manifest, Bench], Mapping[str, int]]
    restored: Callable[[Path, Manifest, Bench], AbstractContextManager[Address]]
    missing: Callable[[Path, Manifest], Iterator[str]]
    look: Callable[[Address, Manifest], Sequence[Contents]]
    restore: Callable[[Path, Manifest, Address, Bench], None]
    instructions: Callable[[Manifest], str]
    marks: Callable[[Address, Manifest, Target, Bench], Marks] | None = None
