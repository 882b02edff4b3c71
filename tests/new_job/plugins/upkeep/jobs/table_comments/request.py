"""What may be asked of one run."""

from __future__ import annotations

from pydantic import Field

from upkeep.request import Request


class CommentsRequest(Request):
    """Which comments to write."""

    only: str | None = Field(None, description="Only this table.")
    shout: bool = Field(False, description="In capitals.")
