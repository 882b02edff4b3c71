"""Words of a first fleet file that is drafted from a database: names, the likeliest age column, usual lengths."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

MOST: Final = 60
"""A first file should be read to its end: the biggest so many tables, the rest are counted."""


AGE_NAMES: Final = (
    "timestamp",
    "created_at",
    "created",
    "time",
    "ts",
    "at",
    "logged_at",
    "inserted_at",
    "date",
    "day",
)
"""Names that usually tell when a row came to be, the likeliest first."""


_BORN: Final = re.compile(r"creat|insert|logged|received|recorded|occurred|happened|queued|added|joined")
_LATER: Final = re.compile(
    r"^last|updat|modif|chang|expir|valid|until|delet|archiv|sent|seen|login|finish|ended|^end|due"
)
"""Names of what happens to a row later than its birth: it may be young by them and old indeed."""


_BOOKKEEPING: Final = re.compile(
    r"(^|_)(migrations?|schema_(version|history|info)|databasechangelog(lock)?|changelog)s?$|schema_history|^alembic_",
    re.IGNORECASE,
)
"""Tables in which frameworks note which changes of the schema they made: without them they make them again."""


_CONTINUED: Final = ("-- Continued as it is, and nothing more --",)
_AGED: Final = (
    "-- What may go by its age, the biggest first --",
    "90 days is a guess: how long it is needed is yours to say. Take the # away where something should go. Each",
    "deletion waits for your approval, unless the rule says requires: {backup: 26 hours} (a verified one, so young)",
    "or requires: nothing. What must be kept elsewhere is archived first (then: archive, into: …).",
)
_KEPT: Final = ("-- No rule is proposed for --",)


@dataclass(frozen=True, slots=True)
class Draft:
    """What is said of the objects of a section, each in its lines: the order is what matters to the reader.

    Attributes
    ----------
    continued
        What is declared: it deletes and converts nothing.
    aged
        Rules that are comments.
    kept
        Why there is no rule for others that have a time, a line each.
    """

    continued: list[Sequence[str]] = field(default_factory=list)
    aged: list[Sequence[str]] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    def lines(self, things: str) -> Iterator[str]:
        """Yield the lines, indented as what stands in a section."""
        for head, blocks in ((_CONTINUED, self.continued), (_AGED, self.aged[:MOST])):
            for block in (head, *blocks) if blocks else ():
                yield ""
                yield from (f"      {'# ' if block is head else ''}{line}" for line in block)
        if self.aged[MOST:]:
            yield f"      # … and {len(self.aged) - MOST} smaller {things}"
        if self.kept:
            yield ""
            yield from (f"      # {line}" for line in (*_KEPT, *self.kept[:MOST]))
        if self.kept[MOST:]:
            yield f"      # … and {len(self.kept) - MOST} smaller {things} of these kinds"


def some(names: Sequence[str]) -> str:
    """Return the first few names."""
    return ", ".join(names[:_FEW]) + (" …" if names[_FEW:] else "")


def is_bookkeeping(name: str) -> bool:
    """Return whether a table's name is one by which a framework keeps account of the schema itself."""
    return _BOOKKEEPING.search(name) is not None


def size(count: int) -> str:
    """Return bytes in a unit that leaves few digits."""
    for unit, step in (("GiB", 2**30), ("MiB", 2**20)):
        if count >= step:
            return f"{count / step:,.1f} {unit}"
    return f"{count / 2**10:,.0f} KiB"


_FEW: Final = 3


_LENGTHS: Final = (
    (timedelta(hours=1), "1 hour"),
    (timedelta(days=1), "1 day"),
    (timedelta(days=7), "1 week"),
    (timedelta(days=30.44), "1 month"),
    (timedelta(days=91.3), "3 months"),
    (timedelta(days=365.25), "1 year"),
)


_NEAR: Final = 0.12
"""Months have 28 to 31 days."""


_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


_YAML_WORDS: Final = ("true", "false", "yes", "no", "on", "off", "null", "y", "n")


def scalar(text: str) -> str:
    """Return a name for YAML, in quotes where it needs them."""
    plain = _PLAIN.fullmatch(text) and text.lower() not in _YAML_WORDS
    if not text.isprintable():
        return json.dumps(text)  # quotes of YAML that say line breaks and the like
    return text if plain else "'" + text.replace("'", "''") + "'"


def likeliest(names: Iterable[str], indexed: Sequence[str] = ()) -> str | None:
    """Return which of some columns of time tells a row's age: by its name, else an indexed one, else the first.

    However names are written (``createdAt``), and those of later events only where there is nothing else.
    """
    known = list(names)
    plain = {name: re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.rpartition(".")[2]).lower() for name in known}
    for wanted in AGE_NAMES:
        for name in known:
            if plain[name] == wanted:
                return name
    born = [n for n in known if _BORN.search(plain[n])]
    rest = [n for n in known if not _LATER.search(plain[n])]
    choice = born or rest or known
    return next(iter([n for n in choice if n in indexed] or choice), None)


def length(seconds: int) -> str:
    """Return seconds as a duration of the fleet file, in the largest unit that has no rest."""
    for unit, of in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds and seconds % of == 0:
            return f"{seconds // of} {unit}{'s' * (seconds > of)}"
    return f"{seconds} seconds"


def usual_length(widths: Iterable[timedelta]) -> str | None:
    """Return the length that most of the partitions have, as a duration, or ``None`` when none is near it."""
    near: Counter[str] = Counter()
    for width in widths:
        near.update(name for length, name in _LENGTHS if abs(width / length - 1) < _NEAR)
    return near.most_common(1)[0][0] if near else None
