"""Expected trouble becomes an outcome: the same words and reason codes for every action of this room."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import pymysql

from upkeep.errors import UnreachableError
from upkeep.jobs.data_retention.pace import OverloadedError
from upkeep.model import Action, Json, Outcome, OutcomeStatus, ReasonCode
from upkeep.tidb import faults
from upkeep.tidb.faults import ConservationError, LockNotObtainedError, NotSupportedError, StateChangedError

_SKIPPED: Final = {
    LockNotObtainedError: ReasonCode.LOCK_NOT_OBTAINED,
    StateChangedError: ReasonCode.STATE_CHANGED,
    OverloadedError: ReasonCode.STATE_CHANGED,
}


def attempt(
    action: Action, work: Callable[[], Json | None], about: Callable[[], dict[str, Any]] | None = None
) -> Outcome:
    """Do the work of an action and say how it ended.

    Parameters
    ----------
    work
        Returns the evidence; its ``rows`` and ``message`` become the outcome's.
    about
        What is known of the work however it ended (``rows``, ``evidence``).

    Raises
    ------
    LeaseLostError, StopError, OverLimitError, CancelledError
        The run must stop.
    """
    started = time.monotonic()

    def ended(
        status: OutcomeStatus, code: ReasonCode | None, message: str | None, evidence: Json | None = None
    ) -> Outcome:
        known: dict[str, Any] = about() if about is not None else {}
        if evidence is not None:
            known["evidence"] = {**known.get("evidence", {}), **evidence}
        seconds = time.monotonic() - started
        return Outcome(action_id=action.id, status=status, reason_code=code, message=message, seconds=seconds, **known)

    try:
        evidence = dict(work() or {})
    except tuple(_SKIPPED) as error:
        return ended(OutcomeStatus.SKIPPED, _SKIPPED[type(error)], str(error))
    except NotSupportedError as error:
        return ended(OutcomeStatus.FAILED, ReasonCode.NOT_SUPPORTED, str(error))
    except ConservationError as error:
        return ended(OutcomeStatus.FAILED, ReasonCode.CONSERVATION, str(error))
    except UnreachableError as error:
        return ended(OutcomeStatus.FAILED, ReasonCode.CONNECTION_LOST, str(error))
    except pymysql.MySQLError as error:
        number = faults.code(error)
        if number in faults.GONE:
            return ended(OutcomeStatus.SKIPPED, ReasonCode.STATE_CHANGED, faults.describe(error))
        if number in faults.TRANSIENT:
            return ended(OutcomeStatus.SKIPPED, ReasonCode.LOCK_NOT_OBTAINED, faults.describe(error))
        return ended(OutcomeStatus.FAILED, ReasonCode.ERROR, faults.describe(error))
    message = evidence.pop("message", None)
    return ended(OutcomeStatus.DONE, None, message, evidence)


def refused(action: Action, message: str, code: ReasonCode = ReasonCode.STATE_CHANGED) -> Outcome:
    """Return the outcome of something that is left as it is."""
    return Outcome(action_id=action.id, status=OutcomeStatus.SKIPPED, reason_code=code, message=message)
