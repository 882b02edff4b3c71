"""What documents amount to, byte by byte, and by the hours of a date in them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from bson.datetime_ms import DatetimeMS
from bson.raw_bson import RawBSONDocument

from upkeep.jobs.backup.marks import Mark

HOUR: Final = 3_600_000
"""Milliseconds."""
EARLIEST: Final = -62_135_596_800_000
"""Year 1: no date before it can be said."""
_HALF: Final = 8
"""Bytes of a digest that make one sum."""


def at_path(document: Any, path: str) -> Any:
    """Return the value at a dotted path; ``None`` when something on the way is no document."""
    for part in path.split("."):
        if not isinstance(document, Mapping):
            return None
        document = document.get(part)
    return document


def age(document: RawBSONDocument, path: str) -> int | None:
    """Return a document's age in milliseconds since 1970; ``None``: there is no date."""
    found = at_path(document, path)
    return int(found) if isinstance(found, DatetimeMS) else None


def mark(document: RawBSONDocument) -> Mark:
    """Return what one document amounts to."""
    digest = hashlib.blake2b(document.raw, digest_size=2 * _HALF).digest()
    return Mark(1, int.from_bytes(digest[:_HALF], "big"), int.from_bytes(digest[_HALF:], "big"))


def by_hour(documents: Iterable[RawBSONDocument], path: str) -> dict[int, Mark]:
    """Return what the documents of each hour amount to, by the milliseconds of its beginning."""
    found: dict[int, Mark] = {}
    for document in documents:
        at = age(document, path)
        if at is not None and at >= EARLIEST:
            begin = at // HOUR * HOUR
            found[begin] = Mark.total((found.get(begin, Mark()), mark(document)))
    return found
