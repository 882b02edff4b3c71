"""Proving a backup: its files are whole, its tool reads them, a restore of them holds what the manifest says.

What is proven has a level. ``readable``: the bytes are those that were written, and the tool reads all of them.
``restored``: a server of its own has restored it, with as many rows as the dump's own stream and every index and key.
``compared``: checksums of tables equal those of the source at the same snapshot. Only the last two verify a backup.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from upkeep.engines import Address
from upkeep.errors import NotAvailableError, UnreachableError, UpkeepError
from upkeep.fleet import Target
from upkeep.jobs.backup import manifest as manifests
from upkeep.jobs.backup.copier import Bench, Copier
from upkeep.jobs.backup.manifest import DATA, Contents, Manifest
from upkeep.jobs.backup.marks import Marks
from upkeep.jobs.errors import ActionError
from upkeep.model import Finding, FindingStatus, Severity

CORRUPT: Final = "backup_corrupt"
DIFFERENT: Final = "backup_difference"
UNVERIFIED: Final = "backup_unverified"
Level = Literal["readable", "restored", "compared"]


class DamagedError(UpkeepError):
    """The files of a backup cannot be read or restored."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found out of a backup.

    Attributes
    ----------
    level
        How far it was proven; ``None``: not at all, or it is damaged.
    restore_seconds
        How long the restore took.
    marks
        What was restored of that whose going requires a backup; ``None``: not looked at.
    """

    level: Level | None
    findings: tuple[Finding, ...]
    restore_seconds: float | None = None
    marks: Marks | None = None

    @property
    def wrong(self) -> int:
        """How many things are otherwise than they should be."""
        return sum(1 for f in self.findings if f.status is FindingStatus.FINDING)


def verify(
    copier: Copier[Any],
    place: Path,
    manifest: Manifest,
    bench: Bench,
    *,
    restore: bool = True,
    target: Target | None = None,
) -> Verdict:
    """Prove a backup as far as it goes here.

    Parameters
    ----------
    place
        Its directory.
    restore
        Whether it is restored, or only read.
    target
        By whose policies marks are read from what was restored.
    """
    bench.tell("comparing the bytes with their digests")
    found = [_corrupt(manifest, name, wrong) for name, wrong in manifests.damaged(place, manifest, bench.checkpoint)]
    if found:
        return Verdict(None, tuple(found))
    try:
        bench.tell("reading the files as their tool does")
        counted = copier.count(place / DATA, manifest, bench)
        found = [*_counts(manifest, counted)]
        if found or not restore:
            return Verdict(None if found else "readable", tuple(found))
        return _restored(copier, place, manifest, bench, target)
    except DamagedError as error:
        return Verdict(None, (_corrupt(manifest, manifest.tool, str(error)),))
    except NotAvailableError as error:
        return Verdict("readable", (_unproven(manifest, f"was not restored: {error}"),))


def _restored(copier: Copier[Any], place: Path, manifest: Manifest, bench: Bench, target: Target | None) -> Verdict:
    bench.tell("restoring it into a server of its own")
    started = time.monotonic()
    marks, said = None, tuple[Finding, ...]()
    try:
        with copier.restored(place / DATA, manifest, bench) as address:
            seconds = time.monotonic() - started
            bench.tell("comparing what is there with what should be")
            found = tuple(differences(manifest, copier.look(address, manifest)))
            if not found and target is not None:
                marks, said = _marks(copier, address, manifest, bench, target)
    except Exception as error:
        trouble = error if isinstance(error, (ActionError, UnreachableError)) else copier.classify(error)
        if trouble is None:
            raise
        text = f"the scratch server failed, which says nothing of the backup: {trouble}"
        raise NotAvailableError(text) from error
    if found:
        return Verdict(None, found, seconds)
    compared = any(thing.checksum is not None for thing in manifest.objects)
    return Verdict("compared" if compared else "restored", said, seconds, marks)


def _marks(
    copier: Copier[Any], address: Address, manifest: Manifest, bench: Bench, target: Target
) -> tuple[Marks | None, tuple[Finding, ...]]:
    """Return the marks; without them the backup is proven all the same, and authorises nothing."""
    if copier.marks is None:
        return None, ()
    bench.tell("reading the marks of what may only go with a backup")
    try:
        return copier.marks(address, manifest, target, bench), ()
    except Exception as error:
        meaning = copier.classify(error)
        if meaning is None:
            raise
        return None, (_unproven(manifest, f"authorises nothing, what it holds could not be read: {meaning}"),)


def differences(manifest: Manifest, seen: Sequence[Contents]) -> Iterator[Finding]:
    """Yield what a restored database has otherwise than the manifest says, each by its name. Pure."""
    there = {thing.name: thing for thing in seen}
    for thing in manifest.objects:
        other = there.pop(thing.name, None)
        if other is None:
            yield _different(manifest, thing.name, f"the {thing.kind} is not there after the restore")
            continue
        if thing.rows != other.rows:
            text = f"{_number(other.rows)} rows are there after the restore, {_number(thing.rows)} were dumped"
            yield _different(manifest, thing.name, text)
        elif thing.checksum is not None and thing.checksum != other.checksum:
            yield _different(manifest, thing.name, "as many rows are there, and not the same: their checksums differ")
        for structure in sorted({*thing.structures} - {*other.structures}):
            yield _different(manifest, thing.name, f"not there after the restore: {structure}")
        for structure in sorted({*other.structures} - {*thing.structures}):
            yield _different(manifest, thing.name, f"there only after the restore: {structure}")
    for name, thing in there.items():
        yield _different(manifest, name, f"the {thing.kind} is there only after the restore")


def _counts(manifest: Manifest, counted: Mapping[str, int]) -> Iterator[Finding]:
    for thing in manifest.objects:
        if thing.rows is not None and counted.get(thing.name, 0) != thing.rows:
            text = f"{counted.get(thing.name, 0):,} rows are in the files, {thing.rows:,} were dumped"
            yield _different(manifest, thing.name, text)


def _number(rows: int | None) -> str:
    return "no" if rows is None else f"{rows:,}"


def _unproven(manifest: Manifest, text: str) -> Finding:
    return Finding.of(
        UNVERIFIED,
        manifest.target,
        Severity.WARNING,
        f"backup {manifest.id} {text}",
        evidence={"backup": manifest.id},
        status=FindingStatus.NOT_AVAILABLE,
    )


def _different(manifest: Manifest, name: str, text: str) -> Finding:
    return Finding.of(
        DIFFERENT,
        name,
        Severity.ERROR,
        f"backup {manifest.id}: {text}",
        "do not rely on this backup: take another (upkeep run backup --now), and look at the disk that holds it",
        evidence={"backup": manifest.id, "snapshot_at": manifest.snapshot_at.isoformat()},
    )


def _corrupt(manifest: Manifest, name: str, text: str) -> Finding:
    return Finding.of(
        CORRUPT,
        manifest.target,
        Severity.ERROR,
        f"backup {manifest.id} is damaged: {name} {text}",
        "do not rely on this backup: take another (upkeep run backup --now), and look at the disk that holds it",
        evidence={"backup": manifest.id, "file": name},
    )
