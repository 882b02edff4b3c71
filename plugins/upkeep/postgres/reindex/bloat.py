"""How large an index would be without air: measured page by page, or estimated from statistics. Pure.

The estimate is the usual one for B-trees (tuples by the average width of their columns, pages by the fill factor); keys
that the server keeps once for many rows are counted as that where one column makes the key. It is rather too large than
too small: what is called bloated is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

PAGE: Final = 8192
_PAGE_HEADER: Final = 24 + 16
_TUPLE_HEADER: Final = 8
_LINE_POINTER: Final = 4
_NULL_BITMAP: Final = 8
_ROW_ADDRESS: Final = 6
_PADDING: Final = 3.5
_POSTING: Final = 2704
"""Bytes of the longest tuple: rows of one key take a new one, with the key once more, after about so many."""
_UPPER: Final = 1.005
"""Pages above the leaves."""


def measured(row: Mapping[str, Any]) -> float | None:
    """Return the bytes that what an index holds would need, by what was measured of its pages; ``None``: nothing was.

    >>> round(measured({"leaf_pages": 100, "internal_pages": 1, "density": 45.0, "fillfactor": 90}) / PAGE)
    52
    """
    if row.get("leaf_pages") is None:
        return None
    density: float = row["density"] or 0.0
    leaves: float = row["leaf_pages"] * min(density / row["fillfactor"], 1.0)
    inner: float = row["internal_pages"] * leaves / max(row["leaf_pages"], 1)
    return (leaves + inner + 1) * PAGE


def estimated(row: Mapping[str, Any], entries: float) -> float | None:
    """Return the bytes that so many entries would need, by the statistics of the columns; ``None``: nobody knows.

    >>> column = {"widths": [8], "null_shares": [0.0], "distinct_keys": [-1.0], "varies": False}
    >>> column |= {"dedupes": False, "fillfactor": 90}
    >>> round(estimated(column, 1_000_000) / 1_000_000)  # pgbench's primary key: 21 to 22 bytes a row
    22
    """
    widths, nulls = row["widths"] or [None], row["null_shares"] or [None]
    if entries < 0 or None in widths or None in nulls:
        return None
    held = sum((1.0 - share) * width for width, share in zip(widths, nulls, strict=True))
    header = _TUPLE_HEADER + (_NULL_BITMAP if any(nulls) else 0)
    # of equally wide keys the padding is known, of others its mean
    each = _LINE_POINTER + header + (held + _PADDING if row["varies"] else _aligned(held))
    needed = entries * each
    if row["dedupes"]:
        distinct = row["distinct_keys"][0]
        keys = max(-distinct * entries if distinct < 0 else distinct, 1.0) + (1 if any(nulls) else 0)
        tuples = max(min(keys, entries), entries * _ROW_ADDRESS / _POSTING)
        needed = min(needed, tuples * each + entries * _ROW_ADDRESS)
    page = (PAGE - _PAGE_HEADER) * float(row["fillfactor"]) / 100
    return (needed / page * _UPPER + 1) * PAGE


def _aligned(width: float) -> float:
    return -(-width // 8) * 8
