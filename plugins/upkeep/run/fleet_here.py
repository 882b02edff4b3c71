"""What this machine sees of the newest backups, and lacks for a restore of them. Starts and connects nothing."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from upkeep.errors import UpkeepError
from upkeep.jobs.backup.job import stands
from upkeep.jobs.backup.manifest import DATA, Manifest
from upkeep.model import Backup
from upkeep.run import verifying
from upkeep.run.fleet_restores import Here

LOOKED_AT: Final = 3
"""So many backups of a target are looked for where they were published: manifests are large."""


def look(backups: Sequence[Backup], names: Collection[str]) -> tuple[tuple[str, ...], Mapping[str, Here]]:
    """Look for the newest backups of each target.

    Returns
    -------
    tuple
        The ids of those that are not where they were published, or not whole; and by target what this machine lacks
        for a restore of the newest proven one that is there, else of the newest that is there.
    """
    gone, here = list[str](), dict[str, Here]()
    for name in names:
        newest = itertools.islice((backup for backup in backups if backup.target == name), LOOKED_AT)
        there = list[tuple[Backup, Manifest]]()
        unseen = list[str]()
        for backup in newest:
            place = Path(backup.artefact.location)
            manifest = stands(backup.artefact)
            if manifest is not None:
                there.append((backup, manifest))
            elif place.parent.is_dir():
                gone.append(backup.artefact.id)
            else:  # it may be a directory of the worker's, which says nothing
                unseen.append(f"{place.parent} is not seen from this machine")
        there.sort(key=lambda one: one[0].artefact.state != "verified")
        here[name] = _here(*there[0]) if there else Here(unlooked=tuple(dict.fromkeys(unseen)))
    return tuple(gone), here


def _here(backup: Backup, manifest: Manifest) -> Here:
    place = Path(backup.artefact.location)
    closed = tuple(_closed(place, manifest))
    try:
        return Here((*closed, *verifying.copier(manifest.engine).missing(place / DATA, manifest)))
    except (UpkeepError, OSError, KeyError) as error:
        return Here(closed, (f"what {manifest.tool} needs here: {error}",))


def _closed(place: Path, manifest: Manifest) -> Iterator[str]:
    """Yield that files may not be read by this account; that they are there and whole is known."""
    names = [name for name in manifest.files if not os.access(place / name, os.R_OK)]
    if names:
        more = f" and {len(names) - 1} more" if names[1:] else ""
        yield f"the right to read {place / names[0]}{more}"
