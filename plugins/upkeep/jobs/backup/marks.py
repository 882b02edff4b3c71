"""What a restored backup held of that whose going requires a backup: counts and digests of ranges, beside it.

A proof reads them from what it has restored, never from the source. Whatever is about to go is compared with them: what
is as it was then is in the backup. The file lies beside the manifest, and the ledger knows its digest.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, Self, TypeAlias, TypeVar

from upkeep.fleet import BackupRule, RetainPolicy, elapsed
from upkeep.jobs.backup.manifest import Manifest
from upkeep.model import Json

NAME: Final = "marks.json"
AHEAD: Final = timedelta(days=2)
"""So much longer than a backup may authorise anything its marks reach: a night may be late."""
MOST_COUNTED: Final = 10_000
"""Of what stays."""
_MOST_TOLD: Final = 3
"""Of the hours that stay."""
Marks: TypeAlias = Mapping[str, Json]
"""Object → what was found of it, in the engine's own words."""


class Mark(NamedTuple):
    """What rows amount to, whatever their order; those of two ranges add up."""

    rows: int = 0
    first: int = 0
    second: int = 0

    @classmethod
    def read(cls, text: str) -> Self:
        """Return a mark that was written."""
        rows, first, second = text.split("-")
        return cls(int(rows), int(first, 16), int(second, 16))

    @classmethod
    def total(cls, marks: Iterable[Self]) -> Self:
        """Return what all of them amount to."""
        known = list(marks)
        return cls(*(sum(parts) for parts in zip(*known, strict=True))) if known else cls()

    def __str__(self) -> str:
        return f"{self.rows}-{self.first:x}-{self.second:x}"


class Marked(Protocol):
    """A range of which it is known what was restored."""

    @property
    def mark(self) -> Mark:
        """What that amounted to."""


R = TypeVar("R", bound=Marked)


def neighbours(ranges: Iterable[R], size: Callable[[], int]) -> Iterator[list[R]]:
    """Yield neighbours that are one batch together, and what is larger than one by itself.

    Parameters
    ----------
    size
        How many rows a batch has by now.
    """
    group: list[R] = []
    for one in ranges:
        if group and sum(r.mark.rows for r in group) + one.mark.rows > size():
            yield group
            group = []
        group.append(one)
    if group:
        yield group


def left_behind(left: int | None, word: str, backup: Manifest, hours: Sequence[str]) -> str:
    """Return what is told of that which is due and stays.

    Parameters
    ----------
    left
        How many, counted up to `MOST_COUNTED`; ``None``: not counted.
    word
        What they are: "rows", "documents".
    """
    more = " or more" if left == MOST_COUNTED else ""
    many = word if left is None else f"{left:,} {word}{more}"
    of = f"backup {backup.id} of {backup.snapshot_at:%Y-%m-%d %H:%M} UTC"
    return f"{many} that are due stay: {of} does not hold them as they are now{came_since(hours)}"


def came_since(hours: Sequence[str]) -> str:
    """Return in which hours something is otherwise than it was restored; empty: in none."""
    if not hours:
        return ""
    more = f" and {len(hours) - _MOST_TOLD:,} more" if hours[_MOST_TOLD:] else ""
    return f" (came or changed since, in the hours {', '.join(hours[:_MOST_TOLD])}{more})"


def reach(retain: RetainPolicy | None) -> timedelta | None:
    """Return how long after its snapshot a backup may have to say what is due; ``None``: none is required."""
    rule = None if retain is None else retain.requires
    return elapsed(rule.backup) + AHEAD if isinstance(rule, BackupRule) else None


def write(place: Path, marks: Marks) -> str:
    """Write the marks of a backup beside it, whole or not at all; return their digest."""
    text = json.dumps(marks, sort_keys=True, separators=(",", ":")).encode()
    making = place / f".{NAME}"
    with making.open("wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    making.rename(place / NAME)
    return hashlib.sha256(text).hexdigest()


def read(place: Path, sha256: str | None) -> Marks:
    """Return the marks of a backup; none when there are none, or others than were written."""
    try:
        text = (place / NAME).read_bytes()
    except OSError:
        return {}
    if sha256 is None or hashlib.sha256(text).hexdigest() != sha256:
        return {}
    found: dict[str, Any] = json.loads(text)
    return found
