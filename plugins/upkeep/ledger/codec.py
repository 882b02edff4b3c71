"""How values become bytes and JSON in the ledger, and come back.

Observations and plans are packed: JSON in which datetimes, dates and decimals are marked so that they
come back as what they were, compressed. Events stay readable for queries: plain JSON, cleaned of what
PostgreSQL's ``jsonb`` cannot hold.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from psycopg.types.json import Jsonb

from upkeep.errors import LedgerError

_MARKS: dict[str, Callable[[str], Any]] = {
    "upkeep:datetime": datetime.fromisoformat,
    "upkeep:date": date.fromisoformat,
    "upkeep:decimal": Decimal,
}
_LEVEL = 6  # zlib's default: observations shrink tenfold; higher levels cost more time than they save space


def pack(value: Any) -> bytes:
    """Return a value of JSON types, datetimes, dates and decimals as compressed JSON.

    Raises
    ------
    LedgerError
        It holds something else; the message names the type, not the value.
    """
    text = json.dumps(value, default=_mark, separators=(",", ":"), ensure_ascii=True)
    return zlib.compress(text.encode("ascii"), _LEVEL)


def unpack(content: bytes) -> Any:
    """Return what `pack` was given; tuples come back as lists."""
    return json.loads(zlib.decompress(content), object_hook=_unmark)


def jsonb(value: Any) -> Jsonb:
    """Return a value, cleaned, as a parameter of type ``jsonb``."""
    return Jsonb(clean(value))


def clean(value: Any) -> Any:
    """Return a value as JSON that ``jsonb`` holds: no NUL, no lone surrogates, no NaN; other types as text."""
    if isinstance(value, dict):
        return {text(str(key)): clean(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [clean(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, (bool, int)):
        return value
    return text(value.isoformat() if isinstance(value, date) else str(value))


def text(value: str) -> str:
    """Return text that PostgreSQL stores: NUL and lone surrogates become U+FFFD."""
    return value.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _mark(value: Any) -> dict[str, str]:
    if isinstance(value, datetime):
        return {"upkeep:datetime": value.isoformat()}
    if isinstance(value, date):
        return {"upkeep:date": value.isoformat()}
    if isinstance(value, Decimal):
        return {"upkeep:decimal": str(value)}
    raise LedgerError(
        f"a value of type {type(value).__name__} cannot be recorded; give JSON types, datetimes, dates or decimals"
    )


def _unmark(value: dict[str, Any]) -> Any:
    if len(value) == 1:
        ((key, inner),) = value.items()
        read = _MARKS.get(key)
        if read is not None and isinstance(inner, str):
            return read(inner)
    return value
