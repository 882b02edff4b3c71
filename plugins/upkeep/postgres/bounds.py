"""PostgreSQL's partition bounds, read from the catalog's text onto the axis of their column."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, cast

from upkeep.jobs.partition_creation.axis import HIGHEST, LOWEST, Axis, UnknownBoundsError, Value

__all__ = [
    "HIGHEST",
    "LAST",
    "LOWEST",
    "Axis",
    "UnknownBoundsError",
    "Value",
    "read",
    "remainder",
    "texts",
    "values",
]

LAST: Final = {"int2": 2**15 - 1, "int4": 2**31 - 1, "int8": 2**63 - 1}
"""The greatest value of each type of whole numbers."""
_RANGE: Final = re.compile(r"FOR VALUES FROM \((.*)\) TO \((.*)\)", re.DOTALL)
_LIST: Final = re.compile(r"FOR VALUES IN \((.*)\)", re.DOTALL)
_HASH: Final = re.compile(r"FOR VALUES WITH \(modulus (\d+), remainder (\d+)\)")
_VALUE: Final = re.compile(r"\s*(?:([EB]?)'((?:[^']|'')*)'|\((-[^()']*)\)|([^\s,()']+))\s*(?:,|$)")
_ONE: Final = re.compile(r"'((?:[^']|'')*)'|(MINVALUE|MAXVALUE|-?\d+)")


def texts(bounds: str) -> tuple[str, str]:
    """Return the lower and the upper text of a range partition by one column.

    Raises
    ------
    UnknownBoundsError
        It is a list or hash partition, the default, or has several columns.
    """
    match = _RANGE.fullmatch(bounds)
    lower = _ONE.fullmatch(match.group(1)) if match else None
    upper = _ONE.fullmatch(match.group(2)) if match else None
    if lower is None or upper is None:
        raise UnknownBoundsError(bounds)
    return _text(lower), _text(upper)


def read(bounds: str, axis: Axis) -> tuple[Value, Value]:
    """Return lower (inside) and upper (outside) bound on the axis. Raises as `texts` and `Axis.read` do."""
    lower, upper = texts(bounds)
    return axis.read(lower), axis.read(upper)


def _text(match: re.Match[str]) -> str:
    quoted = match.group(1)
    return quoted.replace("''", "'") if quoted is not None else cast("str", match.group(2))


@lru_cache(maxsize=65_536)
def values(bounds: str) -> tuple[str | None, ...]:
    r"""Return the values of a list partition as texts; ``None`` is NULL.

    Raises `UnknownBoundsError`.

    >>> values(r"FOR VALUES IN ('it''s', 1.5, (-2), NULL, E'a\\b', true)")
    ("it's", '1.5', '-2', None, 'a\\b', 'true')
    """
    match = _LIST.fullmatch(bounds)
    rest = match.group(1) if match else ""
    found: list[str | None] = []
    position = 0
    while position < len(rest):
        one = _VALUE.match(rest, position)
        if one is None:
            raise UnknownBoundsError(bounds)
        escaped, quoted, negative, plain = one.groups()
        if quoted is not None:
            text = quoted.replace("''", "'")
            found.append(text.replace("\\\\", "\\") if escaped == "E" else text)
        else:
            found.append(None if plain == "NULL" else negative or plain)
        position = one.end()
    if not found:
        raise UnknownBoundsError(bounds)
    return tuple(found)


def remainder(bounds: str) -> tuple[int, int]:
    """Return modulus and remainder of a hash partition. Raises `UnknownBoundsError`."""
    match = _HASH.fullmatch(bounds)
    if match is None:
        raise UnknownBoundsError(bounds)
    return int(match.group(1)), int(match.group(2))
