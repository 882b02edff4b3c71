"""A table's time to live, read from its SHOW CREATE TABLE: TiDB's catalog has no other place that tells."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from upkeep.model.intervals import Duration

_TTL: Final = re.compile(r"/\*T!\[ttl\] TTL=`((?:[^`]|``)+)` \+ INTERVAL (\d+) (\w+) \*/")
_OFF: Final = re.compile(r"/\*T!\[ttl\] TTL_ENABLE='OFF' \*/")
_EVERY: Final = re.compile(r"/\*T!\[ttl\] TTL_JOB_INTERVAL='([^']*)' \*/")
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(h|m|s|d)")
_SECONDS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DEFAULT_EVERY: Final = 86_400.0
"""The longest default of any release: 24 hours since 9.0, one hour before."""
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


def job_interval(options: str) -> float:
    """Return how many seconds lie between the beginnings of two TTL jobs of a table."""
    match = _EVERY.search(options)
    parts = _PART.findall(match[1].lower()) if match is not None else []
    return sum(float(amount) * _SECONDS[unit] for amount, unit in parts) or _DEFAULT_EVERY


def without(options: str) -> str:
    """Return a table's options without its TTL."""
    return _ANY.sub("", options)
