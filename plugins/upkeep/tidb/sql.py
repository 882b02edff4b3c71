"""Statements for TiDB, composed in one place: the driver has no quoting for identifiers.

A statement lies in ``include/sql/tidb/<name>.sql``; ``{braces}`` take fragments (`Sql`: identifiers, literals,
whole predicates), ``%(name)s`` takes values. Both are filled in one pass, so what a name or value contains
is never read as a placeholder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, TypeAlias

from pymysql.converters import escape_item

from upkeep import sqlfiles

Params: TypeAlias = Mapping[str, Any]

_HOLE: Final = re.compile(r"\{([a-z_0-9]+)\}|%\(([a-z_0-9]+)\)s")


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of a statement that is safe to send: made by this module's functions only."""

    text: str

    def __str__(self) -> str:
        """Return it as it is sent."""
        return self.text


def identifier(*parts: str) -> Sql:
    """Return a name, quoted: ``identifier("app", "order`s")`` is ```app`.`order``s```."""
    for part in parts:
        if "\0" in part or not part:
            message = f"{part!r} is no name that TiDB can have"
            raise ValueError(message)
    return Sql(".".join("`" + part.replace("`", "``") + "`" for part in parts))


def literal(value: Any) -> Sql:
    """Return a value as a literal; instants are written in UTC, the zone of every session."""
    if isinstance(value, Sql):
        return value
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    if isinstance(value, tuple | list):
        return Sql("(" + ", ".join(literal(one).text for one in value) + ")")
    return Sql(str(escape_item(value, "utf8mb4")))


def joined(separator: str, parts: Iterable[Sql]) -> Sql:
    """Return the pieces with a constant between them."""
    return Sql(separator.join(part.text for part in parts))


def fill(text: str, params: Params | None = None, /, **parts: Sql) -> Sql:
    """Return constant text of ours with its holes filled."""

    def piece(match: re.Match[str]) -> str:
        if match[1] is not None:
            return parts[match[1]].text
        return literal((params or {})[match[2]]).text

    return Sql(_HOLE.sub(piece, text))


def statement(name: str, params: Params | None = None, /, **parts: Sql) -> Sql:
    """Return the statement of ``include/sql/tidb/<name>.sql``, without its comments, its holes filled."""
    return fill(_bare(name), params, **parts)


@cache
def _bare(name: str) -> str:
    lines = sqlfiles.load("tidb", name).splitlines()
    kept = (line.split(" -- noqa")[0] for line in lines if not line.lstrip().startswith("--"))
    return "\n".join(kept).strip().rstrip(";")
