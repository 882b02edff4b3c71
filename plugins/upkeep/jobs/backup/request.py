"""What a person may ask of a backup."""

from __future__ import annotations

from pydantic import Field

from upkeep.request import Request


class BackupRequest(Request):
    """What a person asks of a run.

    Attributes
    ----------
    now
        Take a backup even where tonight's is there already.
    """

    now: bool = Field(default=False, description="Take a backup even where one was taken within the last twelve hours.")
