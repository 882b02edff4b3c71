"""The columns of an archived table. What only archives in files need, Arrow above all, is loaded when it is used."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from upkeep.errors import UpkeepError

FORMAT: Final = "upkeep-archive/1"
MOST_DIGITS: Final = 76
"""Decimals of more digits are kept as text."""
_DECIMAL: Final = re.compile(r"decimal\((\d+),(\d+)\)")


class UnsayableError(UpkeepError):
    """A column holds a value that its Parquet type cannot say; kept as text, it can.

    Attributes
    ----------
    column
        The column's name.
    """

    def __init__(self, column: str) -> None:
        super().__init__(f"a value of {column} has no place in its Parquet type")
        self.column = column


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an archived table.

    Attributes
    ----------
    name
        As the database has it.
    type
        The database's type, as it prints it.
    kind
        How it is kept: ``int16``, ``int32``, ``int64``, ``uint32``, ``bool``, ``float32``, ``float64``,
        ``decimal(p,s)``, ``date``, ``time``, ``timestamp``, ``timestamptz``, ``uuid``, ``binary`` or ``text``.
    """

    name: str
    type: str
    kind: str

    @property
    def decimal(self) -> tuple[int, int] | None:
        """Digits and scale of a decimal."""
        match = _DECIMAL.fullmatch(self.kind)
        return (int(match[1]), int(match[2])) if match else None
