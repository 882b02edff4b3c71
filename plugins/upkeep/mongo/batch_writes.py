"""Many documents written in unordered batches, counted exactly, also when some of them are refused.

A document that the server refuses (a duplicate, a validator) stops none of the others of its batch. After a lost
connection the driver repeats a batch once under the same number, which the server does not carry out twice; when
the answer to that is lost too, the batch counts as `Written.unknown`, never as written.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bson.raw_bson import RawBSONDocument
from pymongo import InsertOne, WriteConcern
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, ConnectionFailure, InvalidOperation, WriteConcernError

from upkeep.mongo.session import MAJORITY_MS

SMALLEST: Final = 1_000
LARGEST: Final = 5_000
"""Fewer waste round trips, more hold up others (SPEC D2)."""
PROFILES: Final[Mapping[str, WriteConcern]] = {
    "majority": WriteConcern(w="majority", wtimeout=MAJORITY_MS),
    "journal": WriteConcern(w=1, j=True),
    "metrics": WriteConcern(w=1, j=False),
}
"""How sure a write must be. ``metrics`` may lose the last tenth of a second in a crash, and whatever a step-down rolls
back: for measurements that come again anyway. The default everywhere is ``majority``."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of the documents; the parts add up to what was given.

    Attributes
    ----------
    inserted
        Acknowledged by the server.
    refused
        Refused by the server, by error code: 11000 a duplicate, 121 the validator …
    unknown
        Sent, but the answer was lost.
    unconfirmed
        Of those inserted: how many the profile's members did not confirm in time.
    """

    inserted: int = 0
    refused: Mapping[int, int] = field(default_factory=dict)
    unknown: int = 0
    unconfirmed: int = 0

    def __add__(self, other: Written) -> Written:
        return Written(
            self.inserted + other.inserted,
            dict(Counter(self.refused) + Counter(other.refused)),
            self.unknown + other.unknown,
            self.unconfirmed + other.unconfirmed,
        )

    @property
    def complete(self) -> bool:
        """Whether every document was written as surely as asked for."""
        return not (self.refused or self.unknown or self.unconfirmed)


def write(
    collection: Collection[Any],
    documents: Iterable[Mapping[str, Any] | RawBSONDocument],
    *,
    size: int = 2_000,
    profile: str = "majority",
) -> Written:
    """Insert documents in unordered batches and return what became of them.

    Parameters
    ----------
    documents
        Read as they are needed: never more than one batch is held.
    size
        Documents in a batch, from `SMALLEST` to `LARGEST`.
    profile
        A name in `PROFILES`.

    Raises
    ------
    ValueError
        The size or the profile is none of those.
    PyMongoError
        The server refused the whole batch (no privilege, no such collection kind …).
    """
    if not SMALLEST <= size <= LARGEST:
        raise ValueError(f"size is {size}; write {SMALLEST} to {LARGEST}")
    if profile not in PROFILES:
        raise ValueError(f"no write profile {profile!r}; there are: {', '.join(PROFILES)}")
    surely = collection.with_options(write_concern=PROFILES[profile])
    total = Written()
    source = iter(documents)
    while batch := list(itertools.islice(source, size)):
        total += _batch(surely, batch)
    return total


def _batch(collection: Collection[Any], batch: list[Any]) -> Written:
    try:
        done = collection.bulk_write([InsertOne(document) for document in batch], ordered=False)
    except BulkWriteError as error:
        details = error.details
        refused = Counter(int(e["code"]) for e in details["writeErrors"])
        inserted = int(details["nInserted"])
        # what was inserted is there, only not confirmed as surely as was asked for
        unsure = inserted if details.get("writeConcernErrors") else 0
        return Written(inserted, dict(refused), len(batch) - inserted - refused.total(), unsure)
    except WriteConcernError:
        return Written(inserted=len(batch), unconfirmed=len(batch))
    except (ConnectionFailure, InvalidOperation):
        return Written(unknown=len(batch))
    return Written(inserted=done.inserted_count)
