"""What a backup says of itself: all that is needed to verify and restore it, without ledger, Airflow or fleet file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, ValidationError

from upkeep.errors import ConfigurationError
from upkeep.model import Json, Value

NAME: Final = "manifest.json"
DATA: Final = "data"
"""The folder of a backup that holds what the tool wrote."""
_CHUNK: Final = 1024 * 1024


class Contents(Value):
    """One object that a backup holds, or that was found after its restore.

    Attributes
    ----------
    name
        As the owner writes it (``public.logs``).
    kind
        ``table``, ``collection``, ``database`` …
    rows
        Counted in the dump's own stream; ``None``: it has no rows of its own.
    complete
        Whether all its rows are in the backup.
    structures
        Definitions of what belongs to it: indexes, keys, constraints, options; sorted.
    checksum
        Of its rows at the snapshot, whatever their order; ``None``: not compared.
    """

    name: str
    kind: str = "table"
    rows: int | None = None
    complete: bool = True
    structures: tuple[str, ...] = ()
    checksum: str | None = None


class File(Value):
    """A file of a backup."""

    bytes: int
    sha256: str


class Manifest(Value):
    """What a backup says of itself.

    Attributes
    ----------
    id
        Its name, unique in all the world.
    identity
        The physical database.
    position
        Where in the server's history the snapshot lies, in the engine's own words.
    needs
        What a server must have to restore it (``extensions``, ``major`` …).
    lacks
        What of the server is not in it, in words.
    files
        Path below the backup's directory → its size and digest.
    """

    format: Literal[1] = 1
    id: str
    target: str
    engine: str
    identity: str
    database: str
    server_version: str
    tool: str
    tool_version: str
    snapshot_at: datetime
    position: Json = Field(default_factory=dict)
    objects: tuple[Contents, ...] = ()
    needs: Json = Field(default_factory=dict)
    lacks: tuple[str, ...] = ()
    files: dict[str, File] = Field(default_factory=dict)

    @property
    def size(self) -> int:
        """Of all its files."""
        return sum(file.bytes for file in self.files.values())

    def written(self) -> bytes:
        """Return the text of its file."""
        return (json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True) + "\n").encode()

    def object(self, name: str) -> Contents | None:
        """Return an object that it holds."""
        return next((found for found in self.objects if found.name == name), None)


def read(place: Path) -> tuple[Manifest, str]:
    """Return the manifest that lies in a directory, and its digest.

    Raises
    ------
    ConfigurationError
        There is none, or it is not one of ours.
    """
    try:
        text = (place / NAME).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{place}: no backup is here ({NAME}: {error.strerror})") from None
    try:
        return Manifest.model_validate_json(text), hashlib.sha256(text).hexdigest()
    except ValidationError as error:
        message = f"{place / NAME} is damaged, or of a newer Upkeep: {error.error_count()} mistakes"
        raise ConfigurationError(message) from None


def files(place: Path, checkpoint: Callable[[], None]) -> dict[str, File]:
    """Return the files of the data folder with their digests; ``checkpoint`` is called between pieces of them."""
    found = {}
    for path in _walk(place / DATA):
        found[path.relative_to(place).as_posix()] = File(bytes=path.stat().st_size, sha256=_digest(path, checkpoint))
    return found


def damaged(place: Path, manifest: Manifest, checkpoint: Callable[[], None]) -> Iterator[tuple[str, str]]:
    """Yield each file that is not as it was written, and what is wrong with it."""
    for name, file in sorted(manifest.files.items()):
        path = place / name
        if not path.is_file():
            yield name, "is missing"
        elif path.stat().st_size != file.bytes:
            yield name, f"has {path.stat().st_size:,} bytes instead of {file.bytes:,}"
        elif _digest(path, checkpoint) != file.sha256:
            yield name, "has other bytes than were written"


def missing(place: Path, manifest: Manifest) -> list[str]:
    """Return the files that are gone or shorter or longer than they were, without reading them."""
    return [
        name
        for name, file in sorted(manifest.files.items())
        if not (place / name).is_file() or (place / name).stat().st_size != file.bytes
    ]


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(parent) / name for name in sorted(names))


def _digest(path: Path, checkpoint: Callable[[], None]) -> str:
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(_CHUNK):
            found.update(piece)
            checkpoint()
    return found.hexdigest()
