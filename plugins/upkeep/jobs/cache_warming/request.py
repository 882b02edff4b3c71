"""What may be asked of one run of cache warming."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from upkeep.request import Request


class WarmRequest(Request):
    """What is to be warmed."""

    entry: list[str] | None = Field(
        default=None,
        title="Entries",
        description="Only these entries, by their names below warm: in the fleet file; none: all of them.",
    )

    @field_validator("entry", mode="before")
    @classmethod
    def _left_empty(cls, value: Any) -> Any:
        # as a form sends what nobody has filled in
        return None if value in ("", []) else value
