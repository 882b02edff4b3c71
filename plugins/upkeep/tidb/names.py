"""Names as owners write them in the fleet file: as in MySQL's SQL, with globs.

``app.order_events``, ```app`.`Mixed case```, ``"we.ird"."ta""ble"`` (double quotes as in ANSI mode); a name
without a database means the connection's. Outside quotes ``*`` and ``?`` are wildcards. TiDB compares names
without regard to case, and so does this.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Final

from upkeep.errors import ConfigurationError
from upkeep.tidb.sql import Sql, identifier

MAX_CHARACTERS: Final = 64
"""Of a table's, column's or partition's name."""
_PART: Final = re.compile(r'"((?:[^"]|"")+)"|`((?:[^`]|``)+)`|([^\s"`.;]+)')
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED: Final = frozenset(
    """
    add all alter analyze and as asc between bigint binary both by call cascade case change char character check
    collate column constraint create cross current_date current_time current_timestamp current_user database databases
    decimal default delete desc describe distinct div double drop else enclosed escaped exists explain except false
    fetch float for force foreign from fulltext generated grant group groups having if ignore in index inner insert
    int integer intersect interval into is join key keys kill lateral leading left like limit lines load localtime lock
    long longblob longtext match mod natural not null numeric of on option or order out outer over partition precision
    primary procedure range rank read real recursive references regexp release rename repeat replace require restrict
    revoke right rlike row rows schema schemas select set show smallint sql table tablesample terminated then to
    trailing trigger true union unique unlock unsigned update usage use using values varchar varying virtual when where
    while window with write xor year_month zerofill
    """.split()  # noqa: SIM905 - a list of words reads better so
)
"""Words that need quotes (of TiDB's reserved words those that could be a table's or column's name)."""


@dataclass(frozen=True, slots=True)
class Name:
    """A table's name: database and name."""

    schema: str
    name: str

    def __str__(self) -> str:
        """Return it as in SQL, quoted only where SQL needs it."""
        return display(self.schema, self.name)

    @property
    def identifier(self) -> Sql:
        """The name for a statement."""
        return identifier(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A policy's name or glob.

    Attributes
    ----------
    schema
        The database; ``None``: the connection's.
    quoted
        Whether database and name were quoted (then they have no wildcards).
    """

    text: str
    schema: str | None
    name: str
    quoted: tuple[bool, bool]

    @property
    def is_glob(self) -> bool:
        """Whether it may name several tables."""
        return _wild(self.schema or "", self.quoted[0]) or _wild(self.name, self.quoted[1])

    def matches(self, schema: str, name: str, default: str) -> bool:
        """Return whether it names that table; ``default`` is the connection's database."""
        ours = default if self.schema is None else self.schema
        return _like(ours, schema, self.quoted[0] or self.schema is None) and _like(self.name, name, self.quoted[1])

    def exact(self, default: str) -> Name:
        """Return the one table that it names. Raises `ConfigurationError` for a glob."""
        if self.is_glob:
            raise ConfigurationError(f"{self.text}: one table is needed here, not a pattern")
        return Name(self.schema or default, self.name)


@cache
def parse(text: str) -> Pattern:
    """Read a name or glob.

    Raises
    ------
    ConfigurationError
        It is not a name as SQL has them; the message shows how to write it.
    """
    parts = _parts(text)
    if parts is None or not 1 <= len(parts) <= 2:  # noqa: PLR2004 - database and name
        raise ConfigurationError(
            f"{text!r} is not a table's name: write database.table as in SQL, with backticks around a part that has "
            "spaces, dots or other signs, e.g. app.`order events`"
        )
    if len(parts) == 1:
        return Pattern(text, None, parts[0][0], (True, parts[0][1]))
    return Pattern(text, parts[0][0], parts[1][0], (parts[0][1], parts[1][1]))


def column(text: str) -> str:
    """Return a column's name from how the owner writes it (as in SQL)."""
    parts = _parts(text.strip())
    return parts[0][0] if parts is not None and len(parts) == 1 else text.strip()


def same(one: str, other: str) -> bool:
    """Return whether two names are the same to TiDB."""
    return one.lower() == other.lower()


def display(schema: str, name: str) -> str:
    """Return the name as in SQL, quoted only where SQL needs it."""
    return f"{quote(schema)}.{quote(name)}"


def quote(part: str) -> str:
    """Return one identifier as in SQL, quoted only where SQL needs it."""
    if _PLAIN.fullmatch(part) and part.lower() not in _RESERVED:
        return part
    return "`" + part.replace("`", "``") + "`"


def _parts(text: str) -> list[tuple[str, bool]] | None:
    parts: list[tuple[str, bool]] = []
    position = 0
    while match := _PART.match(text, position):
        double, back, plain = match.groups()
        if plain is not None:
            parts.append((plain, False))
        else:
            parts.append((double.replace('""', '"') if double is not None else back.replace("``", "`"), True))
        position = match.end()
        if text[position : position + 1] != ".":
            return parts if position == len(text) else None
        position += 1
    return None


def _wild(part: str, quoted: bool) -> bool:  # noqa: FBT001
    return not quoted and ("*" in part or "?" in part)


def _like(pattern: str, name: str, quoted: bool) -> bool:  # noqa: FBT001
    if not _wild(pattern, quoted):
        return same(pattern, name)
    return fnmatchcase(name.lower(), pattern.lower().replace("[", "[[]"))
