"""What an action did."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from upkeep.model.action import ReasonCode
from upkeep.model.artefact import Artefact
from upkeep.model.value import Json, Value


class OutcomeStatus(StrEnum):
    """What became of an action."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


class Outcome(Value):
    """What an action did.

    Attributes
    ----------
    rows, bytes
        What it really touched.
    seconds
        Wall time.
    evidence
        Counts and hashes that the transactions returned: the proof of conservation.
    artefacts
        What it left outside the database.
    """

    action_id: str
    status: OutcomeStatus
    seconds: float = 0.0
    reason_code: ReasonCode | None = None
    rows: int | None = None
    bytes: int | None = None
    message: str | None = None
    evidence: Json = Field(default_factory=dict)
    artefacts: tuple[Artefact, ...] = Field(default=(), exclude_if=lambda made: not made)
