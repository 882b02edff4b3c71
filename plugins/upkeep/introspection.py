"""`upkeep init --from CONNECTION`: a commented first fleet file for an existing database.

What exists is continued (partitions, time-series); how long rows are needed is the owner's to say, so retention rules
are commented out. Each engine's room has an ``introspection`` module with ``SECTION`` and ``lines``.
"""

from __future__ import annotations

import importlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from upkeep import jobs
from upkeep.connections import SCHEMES
from upkeep.errors import ConfigurationError

if TYPE_CHECKING:
    from upkeep.jobs import Address

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

_HEAD = """\
# A first fleet file, made by looking at the database behind '{connection}'.
# mode: observe means: plan and report, change nothing. Read what `upkeep plan partition_creation` and
# `upkeep plan data_retention` say, put in how long rows are really needed, then write mode: enforce.
version: 1

targets:
  {name}:
    engine: {engine}
    connection: {connection}
    mode: observe
"""


def first_fleet(connection_id: str, address: Address) -> str:
    """Return the text of a fleet file for one database.

    Raises
    ------
    ConfigurationError
        The connection's type belongs to no engine.
    UnreachableError
        The server does not answer.
    """
    engine = next((name for name, schemes in SCHEMES.items() if address.kind in schemes), None)
    if engine is None:
        known = ", ".join(kind for kinds in SCHEMES.values() for kind in kinds)
        raise ConfigurationError(f"connection '{connection_id}' is of type '{address.kind}'; known types: {known}")
    called = address.database if not address.database.isdigit() else ""  # Redis numbers its databases
    name = "".join(c if c.isalnum() else "_" for c in called or connection_id).lower()
    text = _HEAD.format(connection=connection_id, name=name, engine=engine)
    module = importlib.import_module(f"upkeep.{engine}.introspection")
    with jobs.engine(engine).open(address, application="upkeep init") as session:
        found = list(module.lines(session))
    if not found:
        return text
    declares = any(line.strip() and not line.strip().startswith("#") for line in found)
    lines = ("\\n".join(line.splitlines()) for line in found)  # a name in a comment may hold line breaks
    return f"{text}    {'' if declares else '# '}{module.SECTION}:\n" + "\n".join(lines) + "\n"


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
