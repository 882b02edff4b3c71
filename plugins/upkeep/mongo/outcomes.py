"""Carrying one action out so that expected trouble becomes an outcome, with what was done so far."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from pymongo.errors import PyMongoError

from upkeep.errors import CancelledError, LeaseLostError, StopError, UnreachableError, UpkeepError
from upkeep.jobs.contract import Work
from upkeep.jobs.data_retention.pace import OverloadedError
from upkeep.model import Action, Json, Outcome, OutcomeStatus, ReasonCode
from upkeep.mongo import faults, server_refusals
from upkeep.mongo.session import MongoSession

Apply: TypeAlias = "Callable[[Work[MongoSession], Progress], None]"


class StateChangedError(UpkeepError):
    """The objects are not as they were when the plan was made."""


class ConservationError(UpkeepError):
    """A batch would have lost, doubled or changed documents; nothing of it was done."""


class NotSupportedError(UpkeepError):
    """The server cannot do this."""


class LockNotObtainedError(UpkeepError):
    """Others held the collection too long."""


@dataclass
class Progress:
    """What the action has done so far; right also when it ends early."""

    rows: int = 0
    evidence: Json = field(default_factory=dict)
    message: str | None = None


def carry_out(work: Work[MongoSession], do: Apply) -> Outcome:
    """Do one action and return what became of it.

    Raises
    ------
    UpkeepError
        The run must stop (lease lost, paused, cancelled); documents done so far are in the ledger as a note.
    """
    progress = Progress()
    try:
        # a killed run's transaction keeps what it wrote for a minute: ours would meet it as a conflict that nobody
        # ends
        work.session.end_leftovers()
        do(work, progress)
    except (StateChangedError, OverloadedError) as error:
        return _outcome(work.action, progress, OutcomeStatus.SKIPPED, ReasonCode.STATE_CHANGED, str(error))
    except NotSupportedError as error:
        return _outcome(work.action, progress, OutcomeStatus.SKIPPED, ReasonCode.NOT_SUPPORTED, str(error))
    except LockNotObtainedError as error:
        return _outcome(work.action, progress, OutcomeStatus.SKIPPED, ReasonCode.LOCK_NOT_OBTAINED, str(error))
    except ConservationError as error:
        return _outcome(work.action, progress, OutcomeStatus.FAILED, ReasonCode.CONSERVATION, str(error))
    except UnreachableError as error:
        return _outcome(work.action, progress, OutcomeStatus.FAILED, ReasonCode.CONNECTION_LOST, str(error))
    except PyMongoError as error:
        lost = faults.is_lost(error)
        refusal = server_refusals.of(error)
        said = faults.describe(error) if refusal is None else f"{refusal.text}; {refusal.remedy}"
        text = f"{said}{'; the next run looks at the state and carries on' if lost or refusal else ''}"
        code = ReasonCode.CONNECTION_LOST if lost else ReasonCode.ERROR
        return _outcome(work.action, progress, OutcomeStatus.FAILED, code, text)
    except UpkeepError:
        # the run ends here, but what was committed is committed: its count must not be missing from the ledger
        if progress.rows:
            with contextlib.suppress(UpkeepError):
                work.note({"rows": progress.rows, **progress.evidence})
        raise
    return _outcome(work.action, progress, OutcomeStatus.DONE, None, progress.message)


def _outcome(
    action: Action, progress: Progress, status: OutcomeStatus, code: ReasonCode | None, message: str | None
) -> Outcome:
    return Outcome(
        action_id=action.id,
        status=status,
        reason_code=code,
        rows=progress.rows,
        message=message,
        evidence=progress.evidence,
    )


def take_back(action: Action, do: Callable[[], str]) -> Outcome:
    """Undo one action and return what became of that."""
    started = time.monotonic()
    status, code, text = OutcomeStatus.DONE, None, ""
    try:
        text = do()
    except (StateChangedError, NotSupportedError, LockNotObtainedError) as error:
        status, code, text = OutcomeStatus.SKIPPED, ReasonCode.NOT_SUPPORTED, str(error)
    except (LeaseLostError, StopError, CancelledError):
        raise
    except UpkeepError as error:
        status, code, text = OutcomeStatus.FAILED, ReasonCode.ERROR, str(error)
    except PyMongoError as error:
        status, code, text = OutcomeStatus.FAILED, ReasonCode.ERROR, faults.describe(error)
    seconds = time.monotonic() - started
    return Outcome(action_id=action.id, status=status, reason_code=code, message=text, seconds=seconds)
