"""How a backup comes to stand in its directory, whole or not at all, and how it goes.

``<into>/<target>/<snapshot>-<id>/`` with ``manifest.json``, ``RESTORE.txt`` and ``data/``. It is made under a hidden
name beside that, brought to the disk, and renamed: whatever is not hidden is whole.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from upkeep.errors import ConfigurationError
from upkeep.fleet.location import folder
from upkeep.jobs.backup import manifest as manifests
from upkeep.jobs.backup.copier import Taken
from upkeep.jobs.backup.manifest import DATA, NAME, Manifest
from upkeep.model import digest

_MAKING: Final = ".making-"
_GOING: Final = ".going-"
INSTRUCTIONS: Final = "RESTORE.txt"


@dataclass(frozen=True, slots=True)
class Found:
    """A backup that lies in a directory."""

    place: Path
    manifest: Manifest
    sha256: str


def home(into: str, target: str) -> Path:
    """Return the directory of a target's backups; no name leads out of it."""
    return Path(into) / folder(target)


def found(into: Path) -> Iterator[Found]:
    """Yield the backups below a directory (of a fleet, a target, or one backup), newest first."""
    places = [into] if (into / NAME).is_file() else [path.parent for path in _manifests(into)]
    read = []
    for place in places:
        if not place.name.startswith("."):
            try:
                read.append(Found(place, *manifests.read(place)))
            except ConfigurationError:
                continue  # not one of ours, or damaged: who asks for it by name is told
    yield from sorted(read, key=lambda one: one.manifest.snapshot_at, reverse=True)


def _manifests(into: Path) -> list[Path]:
    return [*into.glob(f"*/{NAME}"), *into.glob(f"*/*/{NAME}")]


@contextmanager
def making(into: str, target: str, identity: str, name: str) -> Iterator[Path]:
    """Give a hidden directory with an empty data folder in it; it is removed if it was not published.

    What killed runs on the same database left is removed first: who holds its lease is alone with it.
    """
    parent, mine = home(into, target), f"{_MAKING}{digest(identity)[:12]}-"
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for left in (*parent.glob(f"{mine}*"), *parent.glob(f"{_GOING}*")):
        shutil.rmtree(left, ignore_errors=True)
    place = parent / f"{mine}{name}"
    (place / DATA).mkdir(parents=True, mode=0o700)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def publish(
    place: Path,
    of: tuple[str, str, str, str],
    taken: Taken,
    instructions: Callable[[Manifest], str],
    checkpoint: Callable[[], None],
) -> Found:
    """Give what was taken its manifest and its name; after this it is there, whatever happens to the process.

    Parameters
    ----------
    of
        The backup's name, target, engine, and identity of the physical database.
    """
    name, target, engine, identity = of
    manifest = Manifest(
        id=name,
        target=target,
        engine=engine,
        identity=identity,
        database=taken.database,
        server_version=taken.server_version,
        tool=taken.tool,
        tool_version=taken.tool_version,
        snapshot_at=taken.snapshot_at,
        position=taken.position,
        objects=taken.objects,
        needs=taken.needs,
        lacks=taken.lacks,
        files=manifests.files(place, checkpoint),
    )
    (place / INSTRUCTIONS).write_text(instructions(manifest), encoding="utf-8")
    (place / NAME).write_bytes(manifest.written())
    _to_disk(place)
    there = place.parent / f"{taken.snapshot_at:%Y%m%dT%H%M%SZ}-{name}"
    place.rename(there)
    _sync(there.parent)
    return Found(there, *manifests.read(there))


@contextmanager
def using(place: Path) -> Iterator[None]:
    """Keep a backup from being taken away while it is verified or restored; ends with the process."""
    with (place / NAME).open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        yield


def remove(place: Path) -> bool:
    """Take a published backup away, unless somebody uses it; from the first moment on it is gone, even if killed."""
    with (place / NAME).open("rb") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        going = place.with_name(f"{_GOING}{place.name}")
        place.rename(going)
        _sync(going.parent)
    shutil.rmtree(going)
    return True


def _to_disk(place: Path) -> None:
    for parent, _, names in os.walk(place, topdown=False):
        for name in names:
            _sync(Path(parent) / name)
        _sync(Path(parent))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
