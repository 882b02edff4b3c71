"""Words of a first fleet file that is drafted from a database: names, the likeliest age column, usual lengths."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
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
    """Return which of some columns of time tells a row's age: by its name, else an indexed one, else the first."""
    known = list(names)
    for name in AGE_NAMES:
        if name in known:
            return name
    return next(iter([n for n in known if n in indexed] or known), None)


def usual_length(widths: Iterable[timedelta]) -> str | None:
    """Return the length that most of the partitions have, as a duration, or ``None`` when none is near it."""
    near: Counter[str] = Counter()
    for width in widths:
        near.update(name for length, name in _LENGTHS if abs(width / length - 1) < _NEAR)
    return near.most_common(1)[0][0] if near else None
