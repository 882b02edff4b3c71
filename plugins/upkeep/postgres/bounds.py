"""PostgreSQL's partition bounds, read from the catalog's text onto the axis of their column."""

from __future__ import annotations

import re
from typing import Final, cast

from upkeep.partitioning.axis import HIGHEST, LOWEST, Axis, UnknownBoundsError, Value, length

__all__ = ["HIGHEST", "LOWEST", "Axis", "UnknownBoundsError", "Value", "length", "read", "texts"]

_RANGE: Final = re.compile(r"FOR VALUES FROM \((.*)\) TO \((.*)\)", re.DOTALL)
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
