"""The files of a backup, as mongodump writes them into a directory.

``<database>/<collection>.bson.gz`` has documents one behind the other, ``<collection>.metadata.json.gz`` options and
indexes as canonical Extended JSON; the documents of a time series are its buckets.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote_plus

from bson import json_util
from bson.json_util import JSONMode, JSONOptions

from upkeep.jobs.backup.copier import Bench
from upkeep.jobs.backup.manifest import Manifest
from upkeep.jobs.backup.verify import DamagedError
from upkeep.mongo.backup.definitions import Definition
from upkeep.mongo.session import Doc

TOOL: Final = "pymongo"
"""What reads the source; the format is mongodump's."""
EVERY: Final = 1_000
"""After so many documents a checkpoint is called."""
_DOCUMENTS: Final = ".bson.gz"
_METADATA: Final = ".metadata.json.gz"
_FASTEST: Final = 1
"""Compression may not be what the snapshot waits for."""
_LONGEST_NAME: Final = 238
_KEPT_OF_NAME: Final = 208
_LENGTH: Final = 4
_SMALLEST: Final = 5
_LARGEST: Final = 17 << 20
"""Bytes of a document: the server's own may be a little larger than 16 MiB."""
_PIECE: Final = 1 << 20
_CANONICAL: Final = JSONOptions(json_mode=JSONMode.CANONICAL, tz_aware=True)


@dataclass
class Tally:
    """What documents amount to, in whatever order they come: number, bytes, sum of digests."""

    rows: int = 0
    size: int = 0
    total: int = 0

    def add(self, document: bytes) -> None:
        """Take a document in."""
        self.rows += 1
        self.size += len(document)
        self.total += int.from_bytes(hashlib.blake2b(document, digest_size=16).digest(), "little")

    @property
    def checksum(self) -> str:
        """What `Contents.checksum` says."""
        return f"{self.rows}-{self.total % (1 << 128):032x}"


@dataclass
class Sink:
    """A file that documents are written into."""

    file: gzip.GzipFile
    tally: Tally = field(default_factory=Tally)
    waiting: list[bytes] = field(default_factory=list)
    size: int = 0

    def add(self, document: bytes) -> None:
        """Write a document."""
        self.tally.add(document)
        self.waiting.append(document)
        self.size += len(document)
        if self.size >= _PIECE:
            self.flush()

    def flush(self) -> None:
        """Hand on what waits."""
        self.file.write(b"".join(self.waiting))
        self.waiting, self.size = [], 0


@contextmanager
def sink(folder: Path, stored_in: str) -> Iterator[Sink]:
    """Give the file of a collection's documents, to be written."""
    with gzip.open(folder / (stem(stored_in) + _DOCUMENTS), "wb", compresslevel=_FASTEST) as file:
        made = Sink(file)
        yield made
        made.flush()


def stem(collection: str) -> str:
    """Return the name of a collection's files without their ends: escaped, and cut where it would be too long."""
    name = quote_plus(collection)
    if len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha1(collection.encode(), usedforsecurity=False).digest()
    return f"{name[:_KEPT_OF_NAME]}%24{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def describe(folder: Path, definition: Definition) -> None:
    """Write the metadata of a collection, time series or view."""
    about = {
        "options": definition.options,
        "indexes": list(definition.indexes),
        "uuid": bytes(definition.uuid).hex() if definition.uuid else "",
        "collectionName": definition.name,
        "type": definition.kind,
    }
    text = json_util.dumps(about, json_options=_CANONICAL)
    with gzip.open(folder / (stem(definition.name) + _METADATA), "wt", encoding="utf-8") as file:
        file.write(text)


def definitions(folder: Path) -> list[Definition]:
    """Return what the metadata of a database's folder say. Raises `DamagedError`."""
    return [_described(path) for path in sorted(folder.glob(f"*{_METADATA}"))]


def _described(path: Path) -> Definition:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            about = json.load(file, object_pairs_hook=_value)
        return Definition(about["collectionName"], about["type"], about["options"], tuple(about["indexes"]))
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"{path.name} cannot be read ({type(error).__name__})") from None


def _value(pairs: list[tuple[str, Any]]) -> Any:
    found: Doc = dict(pairs)
    # an operator of a validator or a view here: canonical text has regular expressions of another name
    return found if "$regex" in found else json_util.object_hook(found, _CANONICAL)


def size(folder: Path, stored_in: str) -> int:
    """Return how large the file of a collection's documents is; 0 where there is none."""
    path = folder / (stem(stored_in) + _DOCUMENTS)
    return path.stat().st_size if path.exists() else 0


def documents(folder: Path, stored_in: str) -> Iterator[bytes]:
    """Yield the documents of a collection. Raises `DamagedError` where the file is not whole."""
    path = folder / (stem(stored_in) + _DOCUMENTS)
    try:
        with gzip.open(path, "rb") as packed, io.BufferedReader(packed, _PIECE) as file:
            while head := file.read(_LENGTH):
                length = int.from_bytes(head, "little")
                if len(head) < _LENGTH or not _SMALLEST <= length <= _LARGEST:
                    raise DamagedError(f"{path.name} is no sequence of documents")
                rest = file.read(length - _LENGTH)
                if len(rest) < length - _LENGTH or rest[-1]:
                    raise DamagedError(f"{path.name} ends within a document")
                yield head + rest
    except (OSError, EOFError, zlib.error) as error:
        raise DamagedError(f"{path.name} cannot be read ({type(error).__name__})") from None


def count(place: Path, manifest: Manifest, bench: Bench) -> dict[str, int]:
    """Read all files, and count the documents of each collection in them."""
    folder = place / manifest.database
    stored = [one for one in definitions(folder) if one.stored_in is not None]
    counted = bench.side_by_side(THREADS, [partial(_count, folder, one) for one in stored], "are read")
    return dict(zip((one.name for one in stored), counted, strict=True))


def _count(folder: Path, one: Definition, bench: Bench) -> int:
    number = 0
    for number, _ in enumerate(documents(folder, one.stored_in or ""), 1):
        if number % EVERY == 0:
            bench.checkpoint()
    return number


THREADS: Final = 3
