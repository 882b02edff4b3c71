"""Of rows keys and values are made: the same row makes the same text, whoever reads it. Pure, and said in the docs."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from string import Formatter
from typing import Any, Final

from upkeep.fleet.policies.warm import WarmEntry
from upkeep.jobs.errors import ActionError

OVERHEAD: Final = 200
"""Bytes of a server for a key and its place in the list of our keys, besides the key twice and the value."""
_AS_IS: Final = frozenset({str, int, bool, type(None)})
_JSON: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
"""Made once: this runs for each row."""


@dataclass
class Rows:
    """The rows of an entry, as keys and values.

    Attributes
    ----------
    found
        Key → value.
    left_out
        Rows without a value in a column that the key names.
    bytes
        What they need of the server's memory, about.
    """

    entry: WarmEntry
    found: dict[bytes, bytes] = field(default_factory=dict)
    left_out: int = 0
    bytes: int = 0

    def __post_init__(self) -> None:
        self.unseen = {*self.entry.columns, *self.entry.value}
        self.key = key_of(self.entry.key)

    def take(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take some rows. Raises `ActionError` for two rows of one key, and when they need more than the budget."""
        for row in rows:
            if self.unseen:
                self.unseen -= row.keys()
            key = self.key(row)
            if key is None:
                self.left_out += 1
                continue
            if key in self.found:
                named = ", ".join(self.entry.columns)
                text = f"two rows have the same key: {named} do not tell them apart; nothing was set"
                raise ActionError(f"{text}: name more columns in key:, or make the query return one row of them")
            value = value_of(row, self.entry.value)
            self.found[key] = value
            self.bytes += cost(key, value)
            if self.bytes > self.entry.budget:
                raise ActionError(
                    f"the rows need more than the budget of {mebibytes(self.entry.budget)}; nothing was set: "
                    "raise budget:, or let the query return less"
                )

    def refuse_unseen(self) -> None:
        """Raise `ActionError` when a column that the fleet file names was in no row."""
        if self.unseen and (self.found or self.left_out):
            named = ", ".join(sorted(self.unseen))
            raise ActionError(
                f"the query returns no column {named}; nothing was set: correct key:, value: or the query"
            )


def cost(key: bytes, value: bytes) -> int:
    """Return about how many bytes of the server's memory a key needs."""
    return 2 * len(key) + len(value) + OVERHEAD


def mebibytes(size: int) -> str:
    """Return a size for people."""
    return f"{size / 2**20:,.1f} MiB"


def key_of(template: str) -> Callable[[Mapping[str, Any]], bytes | None]:
    """Return what makes a row's key; of a row that has no value in one of the columns it makes none."""
    parts = [(text, column) for text, column, _, _ in Formatter().parse(template)]

    def make(row: Mapping[str, Any]) -> bytes | None:
        made: list[str] = []
        for text, column in parts:
            made.append(text)
            if column is not None:
                value = row.get(column)
                if value is None:
                    return None
                made.append(value if type(value) is str else _word(value))
        return "".join(made).encode("utf-8", "surrogatepass")

    return make


def value_of(row: Mapping[str, Any], columns: Sequence[str]) -> bytes:
    """Return the JSON of a row, or of some of its columns, in the order of their names."""
    shown = {name: row.get(name) for name in columns} if columns else row
    return _written({name: plain(value) for name, value in shown.items()}).encode("utf-8", "surrogatepass")


def plain(value: Any) -> Any:
    """Return a value as JSON has it: numbers, texts and truth as they are; all else as a text."""
    if type(value) in _AS_IS:
        return value
    if isinstance(value, int):  # of a kind of its own, as MongoDB's
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return str(value)


def _word(value: Any) -> str:
    made = plain(value)
    return made if isinstance(made, str) else _written(made)


def _written(value: Any) -> str:
    return _JSON(value)
