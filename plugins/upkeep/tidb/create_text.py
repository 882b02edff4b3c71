"""A table's SHOW CREATE TABLE, taken apart: its columns, its options, without its partitions. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from upkeep.tidb import ttl
from upkeep.tidb.sql import Sql, fill

_TOKEN: Final = re.compile(
    r"'(?:[^'\\]|''|\\.)*'|`(?:[^`]|``)*`|/\*.*?\*/|[()]|\nPARTITION BY |[^'`()/\n]+|.", re.DOTALL
)
_CONSTRAINT: Final = re.compile(
    r"^\s*CONSTRAINT (`(?:[^`]|``)+`) ((?:CHECK|FOREIGN KEY) \(.*?)( ON DELETE [A-Z ]+?)?(?: ON UPDATE [A-Z ]+?)?,?$",
    re.MULTILINE,
)
_COMMENT: Final = re.compile(r"\bCOMMENT='(?:[^'\\]|''|\\.)*'", re.DOTALL)


@dataclass(frozen=True, slots=True)
class CreateText:
    """The parts of ``CREATE TABLE name (columns) options PARTITION BY …``."""

    columns: str
    options: str

    def like(self, name: Sql, comment: Sql) -> Sql:
        """Return the statement that makes an unpartitioned table of the same definition, without time to live."""
        options = ttl.without(_COMMENT.sub("", self.options))
        text = "create table {name} {columns} {options} comment = {comment}"
        return fill(text, name=name, columns=Sql(self.columns), options=Sql(options.strip()), comment=comment)


def has_global_index(columns: str) -> bool:
    """Return whether one of the indexes lies over all partitions; what names and comments contain does not count."""
    return any(match[0].startswith("/*T![global_index]") for match in _TOKEN.finditer(columns))


def is_temporary(text: str) -> bool:
    """Return whether the table forgets its rows when a transaction or session ends."""
    return re.match(r"CREATE\s+(?:GLOBAL\s+)?TEMPORARY\s", text, re.IGNORECASE) is not None


def is_cached(options: str) -> bool:
    """Return whether the table is kept in every server's memory: it takes little, and writing it is slow."""
    return "/* CACHED ON */" in options


def constraints(columns: str) -> list[dict[str, str]]:
    """Return the checks that are enforced and the foreign keys: name, what they say, and what they do on delete."""
    found = _CONSTRAINT.finditer(columns)
    return [
        {"name": m[1], "text": m[2].rstrip(), "on_delete": (m[3] or "").removeprefix(" ON DELETE ").strip()}
        for m in found
        if not m[2].endswith("*/")
    ]


def take_apart(text: str) -> CreateText:
    """Read what SHOW CREATE TABLE printed.

    Raises
    ------
    ValueError
        It is not of that form.
    """
    start = end = depth = 0
    for match in _TOKEN.finditer(text):
        piece = match[0]
        if piece == "(":
            start = match.start() if not end and not depth else start
            depth += 1
        elif piece == ")":
            depth -= 1
            end = match.end() if not depth and not end else end
        elif piece.startswith("\nPARTITION BY") and end and not depth:
            return CreateText(text[start:end], text[end : match.start()])
    if not end:
        message = "SHOW CREATE TABLE is of an unknown form"
        raise ValueError(message)
    return CreateText(text[start:end], text[end:])
