"""What this machine sees of the newest backups, and lacks for a restore of them. Starts and connects nothing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from upkeep.errors import UpkeepError
from upkeep.jobs.backup.job import stands
from upkeep.jobs.backup.manifest import DATA, NAME, Manifest
from upkeep.model import Artefact, Backup
from upkeep.run import verifying
from upkeep.run.fleet_restores import Here, best

LOOKED_AT: Final = 3
"""So many backups of a target are looked for where they were published, beside the best one: manifests are large."""


def look(backups: Sequence[Backup], names: Collection[str]) -> tuple[tuple[str, ...], Mapping[str, Here]]:
    """Look for the newest backups of each target, and for the `best` one.

    Returns
    -------
    tuple
        The ids of those that are not where they were published, or not whole; and by target what this machine lacks
        for a restore of the best one, or where there is none, of the newest that is there.
    """
    gone, here = list[str](), dict[str, Here]()
    for name in names:
        lost, here[name] = _look([backup.artefact for backup in backups if backup.target == name])
        gone += lost
    return tuple(gone), here


def _look(made: Sequence[Artefact]) -> tuple[list[str], Here]:
    seen = {one.id: _seen(one) for one in made[:LOOKED_AT]}
    while (chosen := best(made, _gone(seen))) is not None and chosen.id not in seen:
        seen[chosen.id] = _seen(chosen)
    about = [(one, seen[one.id]) for one in ([chosen] if chosen is not None else made[:LOOKED_AT])]
    for one, found in about:
        if isinstance(found, Manifest):
            return _gone(seen), _here(one, found)
    unlooked = dict.fromkeys(found for _, found in about if isinstance(found, str))
    return _gone(seen), Here(unlooked=tuple(unlooked))


def _gone(seen: Mapping[str, Manifest | str | None]) -> list[str]:
    return [name for name, found in seen.items() if found is None]


def _seen(artefact: Artefact) -> Manifest | str | None:
    """Return the manifest of a backup, or why it cannot be looked for; ``None``: it is gone, or not whole."""
    home = Path(artefact.location).parent
    try:
        manifest = stands(artefact)
        if manifest is None:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                os.close(os.open(Path(artefact.location) / NAME, os.O_RDONLY))  # one that is closed to us is not gone
    except OSError as error:
        return f"{artefact.location} cannot be looked at ({error.strerror})"
    if manifest is not None or os.access(home, os.R_OK | os.X_OK):
        return manifest
    return f"{home} is not seen from this machine"  # it may be a directory of the worker's, which says nothing


def _here(artefact: Artefact, manifest: Manifest) -> Here:
    place = Path(artefact.location)
    lacks = [*_closed(place, manifest)]
    try:
        for what in verifying.copier(manifest.engine).missing(place / DATA, manifest):
            lacks.append(what)  # noqa: PERF402 - what was found counts, also when the next look fails
    except (UpkeepError, OSError, KeyError) as error:
        return Here(tuple(lacks), (f"what {manifest.tool} needs here: {error}",))
    return Here(tuple(lacks))


def _closed(place: Path, manifest: Manifest) -> Iterator[str]:
    """Yield that files may not be read by this account; that they are there and whole is known."""
    names = [name for name in manifest.files if not os.access(place / name, os.R_OK)]
    if names:
        more = f" and {len(names) - 1} more" if names[1:] else ""
        yield f"the right to read {place / names[0]}{more}"
