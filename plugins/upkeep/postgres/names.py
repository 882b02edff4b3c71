"""Names as owners write them in the fleet file: as in SQL, with globs.

``public.logs``, ``public."Mixed Case"``, ``"we.ird"."ta""ble"``; a name without a schema means ``public``
(the connection's search path plays no part). Outside quotes ``*`` and ``?`` are wildcards.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Final

from psycopg import sql

from upkeep.errors import ConfigurationError

DEFAULT_SCHEMA: Final = "public"
MAX_BYTES: Final = 63
"""NAMEDATALEN - 1: PostgreSQL silently truncates longer names, so we never make one."""
_PART: Final = re.compile(r'"((?:[^"]|"")+)"|([^\s".;]+)')
_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*")
_RESERVED: Final = frozenset(
    """
    all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate
    collation column concurrently constraint create cross current_catalog current_date current_role current_schema
    current_time current_timestamp current_user default deferrable desc distinct do else end except false fetch
    for foreign freeze from full grant group having ilike in initially inner intersect into is isnull join lateral
    leading left like limit localtime localtimestamp natural not notnull null offset on only or order outer
    overlaps placing primary references returning right select session_user similar some symmetric table
    tablesample then to trailing true union unique user using variadic verbose when where window with
    """.split()  # noqa: SIM905 - a list of words reads better so
)
"""Words that SQL does not take as a table's name without quotes (pg_get_keywords, categories R and T)."""


@dataclass(frozen=True, slots=True)
class Name:
    """A table's name: schema and name as the catalog has them."""

    schema: str
    name: str

    def __str__(self) -> str:
        """Return it as in SQL, quoted only where SQL needs it."""
        return display(self.schema, self.name)

    @property
    def identifier(self) -> sql.Identifier:
        """The name for a statement."""
        return sql.Identifier(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A policy's name or glob.

    Attributes
    ----------
    text
        As the owner wrote it.
    schema, name
        What the catalog's schema and name are compared with: equal, or as SQL LIKE patterns when `is_glob`.
    """

    text: str
    schema: str
    name: str
    is_glob: bool

    def matches(self, schema: str, name: str) -> bool:
        """Return whether it names that table."""
        if not self.is_glob:
            return (schema, name) == (self.schema, self.name)
        return _like(self.schema).fullmatch(schema) is not None and _like(self.name).fullmatch(name) is not None

    @property
    def exact(self) -> Name:
        """The one table that it names. Raises `ConfigurationError` for a glob."""
        if self.is_glob:
            raise ConfigurationError(f"{self.text}: one table is needed here, not a pattern")
        return Name(self.schema, self.name)


@cache
def parse(text: str) -> Pattern:
    """Read a name or glob.

    Raises
    ------
    ConfigurationError
        It is not a name as SQL has them; the message shows how to write it.
    """
    parts: list[tuple[str, bool]] = []
    position = 0
    ended = False
    while match := _PART.match(text, position):
        quoted, plain = match.groups()
        parts.append((quoted.replace('""', '"'), True) if quoted is not None else (_fold(plain), False))
        position = match.end()
        ended = text[position : position + 1] != "."
        if ended:
            break
        position += 1
    if not ended or position != len(text) or not 1 <= len(parts) <= 2:  # noqa: PLR2004 - schema and name
        raise ConfigurationError(
            f"{text!r} is not a table's name: write schema.table as in SQL, with double quotes around a part that has "
            'capitals, spaces or dots, e.g. public."Mixed Case"'
        )
    if len(parts) == 1:
        parts.insert(0, (DEFAULT_SCHEMA, True))
    is_glob = any(not quoted and ("*" in part or "?" in part) for part, quoted in parts)
    schema, name = (_pattern(part, quoted) if is_glob else part for part, quoted in parts)
    return Pattern(text=text, schema=schema, name=name, is_glob=is_glob)


def parse_all(texts: Iterable[str]) -> tuple[dict[str, Pattern], dict[str, str]]:
    """Read many names: those that are some, and what is wrong with the others. One bad name stops no other table."""
    good: dict[str, Pattern] = {}
    bad: dict[str, str] = {}
    for text in texts:
        try:
            good[text] = parse(text)
        except ConfigurationError as error:
            bad[text] = str(error)
    return good, bad


def display(schema: str, name: str) -> str:
    """Return the name as in SQL, quoted only where SQL needs it."""
    return f"{quote(schema)}.{quote(name)}"


def quote(part: str) -> str:
    """Return one identifier as in SQL, quoted only where SQL needs it."""
    if _PLAIN.fullmatch(part) and part not in _RESERVED:
        return part
    return '"' + part.replace('"', '""') + '"'


def shorten(name: str, length: int) -> str:
    """Return the longest beginning of ``name`` of at most ``length`` bytes in UTF-8, no character cut."""
    return name.encode()[:length].decode(errors="ignore")


def _fold(part: str) -> str:
    # as the parser of PostgreSQL does with multi-byte encodings: ASCII letters only
    return "".join(c.lower() if c.isascii() else c for c in part)


def _pattern(part: str, quoted: bool) -> str:  # noqa: FBT001
    escaped = re.sub(r"([\\%_])", r"\\\1", part)
    return escaped if quoted else escaped.replace("*", "%").replace("?", "_")


@cache
def _like(pattern: str) -> re.Pattern[str]:
    pieces = re.findall(r"\\.|[^\\]", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    return re.compile("".join(wild.get(p) or re.escape(p[-1]) for p in pieces), re.DOTALL)


def column_of(text: str) -> str:
    """Return a column's name as the catalog has it, from how the owner writes it (as in SQL)."""
    try:
        return parse(f"x.{text.strip()}").name
    except ConfigurationError:
        return text.strip()
