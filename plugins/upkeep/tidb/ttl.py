"""A table's time to live, read from its SHOW CREATE TABLE: TiDB's catalog has no other place that tells."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from upkeep.model.intervals import Duration

_TTL: Final = re.compile(r"/\*T!\[ttl\] TTL=`((?:[^`]|``)+)` \+ INTERVAL (\d+) (\w+) \*/")
_OFF: Final = re.compile(r"/\*T!\[ttl\] TTL_ENABLE='OFF' \*/")
_ANY: Final = re.compile(r"/\*T!\[ttl\] [^*]*\*/")


@dataclass(frozen=True, slots=True)
class Ttl:
    """What TiDB itself deletes.

    Attributes
    ----------
    length
        ``None`` when its unit is none that policies have.
    """

    column: str
    text: str
    length: Duration | None
    enabled: bool


def read(options: str) -> Ttl | None:
    """Return the TTL that a table's options declare."""
    match = _TTL.search(options)
    if match is None:
        return None
    try:
        length: Duration | None = Duration.parse(f"{match[2]} {match[3].lower()}")
    except ValueError:
        length = None
    text = f"{match[2]} {match[3].lower()}"
    return Ttl(match[1].replace("``", "`"), text, length, _OFF.search(options) is None)


def without(options: str) -> str:
    """Return a table's options without its TTL."""
    return _ANY.sub("", options)
