"""What a person asks of one run of reindexing: exactly these indexes, or the most bloated ones."""

from __future__ import annotations

import re
from typing import Any, Final, Self

from pydantic import Field, field_validator, model_validator

from upkeep.request import Request

MIN_BYTES: Final = 1024**3
MIN_BLOAT: Final = 0.2
"""What is smaller, or less bloated, is not worth reading a table twice for (GitLab's thresholds)."""
LIMIT: Final = 5
"""So many indexes are planned for at once: a person has to read the plan, and a night has to be enough for it."""
_UNITS: Final = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12} | {
    f"{letter}IB": 1024**power for power, letter in enumerate("KMGT", start=1)
}


class ReindexRequest(Request):
    """Which indexes are to be rebuilt.

    Attributes
    ----------
    index
        Exactly these, as in SQL, whatever their size and bloat; none: the most bloated of all.
    min_bloat, min_size, limit
        Which are worth it, and how many of them at most; the most bloated first.
    """

    index: list[str] | None = Field(
        default=None,
        description="Exactly these indexes, as in SQL (public.logs_at_idx); none: the most bloated ones.",
    )
    min_bloat: str | None = Field(default=None, description="Only indexes with at least so much air; default '20 %'.")
    min_size: str | None = Field(default=None, description="Only indexes of at least this size; default '1 GiB'.")
    limit: int | None = Field(default=None, ge=1, le=100, description=f"At most so many indexes; default {LIMIT}.")

    @field_validator("*", mode="before")
    @classmethod
    def _left_empty(cls, value: Any) -> Any:
        # as a form sends what nobody has filled in
        return None if value in ("", []) else value

    @property
    def least_bloat(self) -> float:
        """Return the share of air from which on an index is worth it."""
        return MIN_BLOAT if self.min_bloat is None else share_of(self.min_bloat)

    @property
    def least_bytes(self) -> int:
        """Return the size from which on an index is worth it."""
        return MIN_BYTES if self.min_size is None else bytes_of(self.min_size)

    @property
    def most(self) -> int:
        """Return how many indexes are planned for at most."""
        return LIMIT if self.limit is None else self.limit

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        # read here, so that a value that is none is refused where it was written
        _ = self.least_bloat, self.least_bytes
        if self.index and (self.min_bloat, self.min_size, self.limit) != (None, None, None):
            raise ValueError("index says exactly which are rebuilt: leave min_bloat, min_size and limit out")
        return self


def asked(request: Request) -> ReindexRequest:
    """Return a request as this job's; a plain one asks for nothing."""
    return request if isinstance(request, ReindexRequest) else ReindexRequest()


def share_of(text: str) -> float:
    """Read a share.

    >>> share_of("30 %"), share_of("0.3")
    (0.3, 0.3)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*", text)
    share = float(match[1]) / (100 if match[2] else 1) if match else -1.0
    if not 0 <= share < 1:
        raise ValueError(f"{text!r} is not a share; write e.g. '30 %'")
    return share


def bytes_of(text: str) -> int:
    """Read a size.

    >>> bytes_of("1 GiB"), bytes_of("500 MB"), bytes_of("8192")
    (1073741824, 500000000, 8192)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    unit = _UNITS.get((match[2] or "B").upper()) if match else None
    if match is None or unit is None:
        raise ValueError(f"{text!r} is not a size; write e.g. '1 GiB'")
    return int(float(match[1]) * unit)
