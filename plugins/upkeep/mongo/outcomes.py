"""Carrying one action out so that expected trouble becomes an outcome, with what was done so far."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, TypeVar, cast

from pymongo.errors import OperationFailure, PyMongoError

from upkeep.errors import UnreachableError, UpkeepError
from upkeep.jobs.contract import Work
from upkeep.jobs.data_retention.pace import OverloadedError
from upkeep.model import Action, Json, Outcome, OutcomeStatus, ReasonCode
from upkeep.mongo import catalog, faults, refusals
from upkeep.mongo.session import MAJORITY_MS, Doc, MongoSession

T = TypeVar("T")
Apply: TypeAlias = "Callable[[Work, Progress], None]"

LOCK_MS: Final = 2_000
"""So long a change may wait for its lock, and others behind it."""
LOCK_TRIES: Final = 5
MAJORITY: Final = {"w": "majority", "wtimeout": MAJORITY_MS}
ELECTION_SECONDS: Final = 60.0
"""So long the work waits for a new primary: an election takes 10 to 12 seconds, a restart somewhat longer."""
AGAIN_SECONDS: Final = 0.5


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


def carry_out(work: Work, do: Apply) -> Outcome:
    """Do one action and return what became of it.

    Raises
    ------
    UpkeepError
        The run must stop (lease lost, paused, cancelled); documents done so far are in the ledger as a note.
    """
    progress = Progress()
    try:
        cast("MongoSession", work.session).end_leftovers()
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
        refusal = refusals.of(error)
        said = faults.describe(error) if refusal is None else f"{refusal.text}; {refusal.remedy}"
        text = f"{said}{'; the next run looks at the state and carries on' if lost or refusal else ''}"
        code = ReasonCode.CONNECTION_LOST if lost else ReasonCode.ERROR
        return _outcome(work.action, progress, OutcomeStatus.FAILED, code, text)
    except UpkeepError:
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
    except UpkeepError as error:
        status, code, text = OutcomeStatus.FAILED, ReasonCode.ERROR, str(error)
    except PyMongoError as error:
        status, code, text = OutcomeStatus.FAILED, ReasonCode.ERROR, faults.describe(error)
    seconds = time.monotonic() - started
    return Outcome(action_id=action.id, status=status, reason_code=code, message=text, seconds=seconds)


def persist(work: Work, attempt: Callable[[], T]) -> T:
    """Return what ``attempt`` returns; try again while there is no primary, for `ELECTION_SECONDS`.

    For what may be done twice without harm: reads, conditional deletes, whole transactions, ``$merge`` under ids of
    its own. Checkpoints are honoured before each attempt.

    Raises
    ------
    UnreachableError
        No primary was found in time.
    LockNotObtainedError
        Others wrote the same documents all the time.
    """
    deadline = time.monotonic() + ELECTION_SECONDS
    while True:
        work.checkpoint()
        try:
            return attempt()
        except PyMongoError as error:
            if not faults.is_transient(error):
                raise
            if time.monotonic() >= deadline and not faults.is_lost(error):
                session, name = cast("MongoSession", work.session), str(work.action.args.get("collection", ""))
                text = f"others write the same documents for {ELECTION_SECONDS:.0f} s ({faults.describe(error)})"
                raise LockNotObtainedError(f"{text}: {catalog.holders(session, name)}") from error
            if time.monotonic() >= deadline:
                text = f"{faults.describe(error)} for {ELECTION_SECONDS:.0f} s; the next run carries on"
                raise UnreachableError(text) from error
        work.sleep(AGAIN_SECONDS)


def change(session: MongoSession, command: Doc, sleep: Callable[[float], None]) -> Any:
    """Run a command that needs a collection's lock for a moment; give up loudly, and never queue for long.

    It counts as done when a majority has it: an expiry that a step-down brought back would delete.

    Raises
    ------
    LockNotObtainedError
        Others held it too long, several times.
    """
    for number in range(LOCK_TRIES):
        try:
            return session.database.command({**command, "maxTimeMS": LOCK_MS, "writeConcern": MAJORITY})
        except PyMongoError as error:
            if faults.code(error) not in faults.TIMED_OUT:
                raise
        if number + 1 < LOCK_TRIES:
            sleep(0.2 * 2**number)
    name = str(next(iter(command.values())))
    raise LockNotObtainedError(f"others held the collection for too long: {catalog.holders(session, name)}")


def immediately(seconds: float) -> None:
    """Stand in for the runner's sleep where none is given: an undo is short."""
    time.sleep(seconds)


def drop_empty(session: MongoSession, name: str, row: Doc, evidence: Mapping[str, Any]) -> str:
    """Drop a collection that we made, if nothing was ever written to it.

    It is renamed first, so that no document can come in between the look and the drop; the server renames no
    time-series collection, so those are left to a person.
    """
    if not evidence.get("created"):
        raise NotSupportedError("it was there already: it is not ours to drop")
    if row["kind"] == "timeseries":
        text = f"a measurement could arrive between a look and the drop; when nothing writes: db.{name}.drop()"
        raise NotSupportedError(text)
    if session.database[name].find_one({}, {"_id": 1}) is not None:
        raise NotSupportedError("there are documents in it by now: it stays")
    aside = f"{name}.upkeep_{secrets.token_hex(4)}"
    session.database[name].rename(aside)
    if session.database[aside].find_one({}, {"_id": 1}) is None:
        session.database[aside].drop()
        return f"dropped {name}, which was empty"
    with suppress(OperationFailure):
        session.database[aside].rename(name)
        raise NotSupportedError("a document arrived at this moment: it stays")
    raise StateChangedError(f"documents arrived at this moment: look at {aside}, and at {name}, made anew by a writer")
