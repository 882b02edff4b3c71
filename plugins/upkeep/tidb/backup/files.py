"""The files that dumpling wrote: what is in which, and the statements in them. Rows stand one a line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import unquote

VIEWS: Final = "views.sql"
"""Ours, beside dumpling's: it cannot dump a view as of a snapshot."""
_DATA: Final = re.compile(r"(?P<table>[^.]+)\.\d+\.sql")
_TABLE: Final = re.compile(r"(?P<table>[^.]+)-schema(?P<kind>-sequence|-view)?\.sql")
_BASE: Final = re.compile(r" ?(/\*T!\[auto_(rand_base|id_cache|inc)\][^*]*AUTO_[A-Z_]*BASE[^*]*\*/|AUTO_INCREMENT=\d+)")
_COUNTER: Final = re.compile(r"^\) ENGINE=(?:(?!COMMENT=).)*?\bAUTO_(?:INCREMENT|RANDOM_BASE)=(\d+)", re.MULTILINE)
COUNTER: Final = "new rows get no number below "
_SET: Final = re.compile(rb"(?<=,)-?\d+(?=\);\s*\Z)")
"""In the statement that sets a sequence, the last one of its file."""
_EVERY: Final = 10_000
Kind = Literal["table", "sequence"]


@dataclass(frozen=True, slots=True)
class Schema:
    """The definition of a table or sequence."""

    name: str
    kind: Kind
    path: Path

    @property
    def create(self) -> str:
        """The statement that makes it."""
        return statements(self.path)[-1].decode()


def schemas(place: Path) -> list[Schema]:
    """Return the definitions; sequences first, since tables may ask them for defaults."""
    found: list[Schema] = []
    for path in sorted(place.glob("*-schema*.sql")):
        # "database.table-schema.sql"; a dot in a name is %2E
        match = _TABLE.fullmatch(path.name.partition(".")[2])
        if match is not None:
            found.append(Schema(unquote(match["table"]), "sequence" if match["kind"] else "table", path))
    return sorted(found, key=lambda one: one.kind)


def data(place: Path) -> list[tuple[str, Path]]:
    """Return the files with rows, each with its table, the largest first."""
    found = [(m["table"], path) for path in place.glob("*.sql") if (m := _DATA.fullmatch(path.name.partition(".")[2]))]
    return sorted(((unquote(table), path) for table, path in found), key=lambda one: -one[1].stat().st_size)


def rows(place: Path, checkpoint: Callable[[], None]) -> Counter[str]:
    """Count the rows of each table in the files."""
    counted = Counter({schema.name: 0 for schema in schemas(place) if schema.kind == "table"})
    for table, path in data(place):
        with path.open("rb") as file:
            for number, line in enumerate(file):
                counted[table] += line.startswith(b"(")
                if number % _EVERY == 0:
                    checkpoint()
    return counted


def statements(path: Path) -> list[bytes]:
    """Return the statements of a small file."""
    return list(stream(path))


def stream(path: Path) -> Iterator[bytes]:
    """Yield the statements of a file; each ends with a semicolon at the end of a line."""
    parts: list[bytes] = []
    with path.open("rb") as file:
        for line in file:
            parts.append(line)
            if line.rstrip().endswith(b";"):
                yield b"".join(parts).strip().rstrip(b";")
                parts = []
    if any(part.strip() for part in parts):
        yield b"".join(parts)  # cut off: the server says so


def set_sequence(path: Path, number: int) -> None:
    """Have a file set its sequence to a number, so that it goes on behind it."""
    path.write_bytes(_SET.sub(str(number).encode(), path.read_bytes()))


def lines(create: str, dumped: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return a definition in its lines, sorted; where its counter stands is one of them.

    Parameters
    ----------
    create
        What ``SHOW CREATE TABLE`` says: servers have taken all numbers below its counter, and may have given them out.
    dumped
        Of a restored table, the lines of the one that was dumped: a counter that stands higher is as good.
    """
    cleaned = (_BASE.sub("", line).strip().rstrip(",") for line in create.splitlines())
    found = _COUNTER.search(create)
    counters = [int(found[1])] if found else []
    if dumped is not None:
        promised = [int(line.removeprefix(COUNTER)) for line in dumped if line.startswith(COUNTER)]
        counters = [min(number, *(counters or [1])) for number in promised]
    return tuple(sorted(line for line in (*cleaned, *(f"{COUNTER}{n}" for n in counters)) if line not in ("", ")")))
