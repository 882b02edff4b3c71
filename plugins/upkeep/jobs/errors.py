"""How an action may end early: one family of errors for all engines, each with the outcome that it becomes.

A room raises these, and its ``faults.classify`` says which of them an error of its driver is; `upkeep.jobs.outcomes`
makes the outcome. What each means to people, and what to do: docs/troubles.md.
"""

from __future__ import annotations

from typing import ClassVar

from upkeep.errors import UnreachableError, UpkeepError
from upkeep.model import Json, OutcomeStatus, ReasonCode


class ActionError(UpkeepError):
    """The action failed, for the reason that its text says.

    Attributes
    ----------
    status, code
        Of the outcome.
    evidence
        What is known of the trouble, or of what others had done; joins the outcome's.
    """

    status: ClassVar[OutcomeStatus] = OutcomeStatus.FAILED
    code: ClassVar[ReasonCode | None] = ReasonCode.ERROR

    def __init__(self, message: str, evidence: Json | None = None) -> None:
        super().__init__(message)
        self.evidence = evidence or {}


class AlreadyDoneError(ActionError):
    """Another run has done it since the plan was made (both planned, then one waited for the other)."""

    status = OutcomeStatus.DONE
    code = None
    exit_status = 0


class StateChangedError(ActionError):
    """The database is no longer as it was planned for; nothing was changed."""

    status = OutcomeStatus.SKIPPED
    code = ReasonCode.STATE_CHANGED
    exit_status = 3


class LockNotObtainedError(ActionError):
    """Others held what was needed for too long; what is not done, the next run tries again."""

    status = OutcomeStatus.SKIPPED
    code = ReasonCode.LOCK_NOT_OBTAINED
    exit_status = 3


class OverloadedError(ActionError):
    """The server cannot follow, or has no room for more work; what is done is done, the next run goes on."""

    status = OutcomeStatus.SKIPPED
    code = ReasonCode.OVERLOADED
    exit_status = 3


class NoConnectionError(OverloadedError, UnreachableError):
    """The server answers, and takes no more connections: it is full, not gone."""


class RefusedError(ActionError):
    """It cannot be done at all, now or later: the server does not let it, or what was done cannot be taken back."""

    status = OutcomeStatus.SKIPPED
    code = ReasonCode.NOT_SUPPORTED


class NotCoveredError(ActionError):
    """What would go is not in a verified backup as it is now; a later backup will hold it."""

    status = OutcomeStatus.SKIPPED
    code = ReasonCode.NEEDS_BACKUP
    exit_status = 0


class ConservationError(ActionError):
    """Rows would have been lost, doubled or changed; that batch was rolled back."""

    code = ReasonCode.CONSERVATION


class ConnectionLostError(ActionError, UnreachableError):
    """The connection broke while it was in use: what the last statement did is unknown until the next look."""

    code = ReasonCode.CONNECTION_LOST
