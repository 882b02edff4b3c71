"""What was asked of a run, read back from the ledger with its type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from upkeep.jobs import spec
from upkeep.jobs.contract import RestoreRequest
from upkeep.model import Json, Request

if TYPE_CHECKING:
    from upkeep.ledger import RunRecord

RESTORE: Final = "restore"
"""Trigger of runs that bring archived rows back: they are asked for otherwise than their job."""


def options_of(request: Request) -> Json:
    """Return what a run's options say of its request: nothing when it asks for nothing."""
    return {"request": request.asked()} if request.asked() else {}


def request_of(run: RunRecord) -> Request:
    """Return what was asked of a run."""
    asked = run.options.get("request", {})
    return RestoreRequest.model_validate(asked) if run.trigger == RESTORE else spec.require(run.job).asks(asked)
