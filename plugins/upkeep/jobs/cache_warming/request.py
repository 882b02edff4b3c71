"""What may be asked of one run of cache warming."""

from __future__ import annotations

from pydantic import Field

from upkeep.request import Request


class WarmRequest(Request):
    """What is to be warmed."""

    entry: list[str] = Field([], description="Only these entries of warm: (default: all).")
