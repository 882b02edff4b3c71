"""Changes of collections and indexes, which take a collection's lock: given up loudly, never queued for long."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from pymongo.errors import OperationFailure, PyMongoError

from upkeep.jobs.errors import LockNotObtainedError, RefusedError, StateChangedError
from upkeep.mongo import catalog, faults
from upkeep.mongo.session import MAJORITY_MS, Doc, MongoSession

LOCK_MS: Final = 2_000
"""So long a change may wait for its lock, and others behind it."""
LOCK_TRIES: Final = 5
MAJORITY: Final = {"w": "majority", "wtimeout": MAJORITY_MS}


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
            # maxTimeMS counts the wait for the lock too. The server's lock queue is first come, first served (FAQ:
            # Concurrency): behind a change that waits, every reader and writer of the collection waits as well
            return session.database.command({**command, "maxTimeMS": LOCK_MS, "writeConcern": MAJORITY})
        except PyMongoError as error:
            # nothing was changed then, so another try does no harm
            if faults.code(error) not in faults.TIMED_OUT:
                raise
        # longer each time: whoever queued up behind us has its turn in between
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
        raise RefusedError("it was there already: it is not ours to drop")
    if row["kind"] == "timeseries":
        text = f"a measurement could arrive between a look and the drop; when nothing writes: db.{name}.drop()"
        raise RefusedError(text)
    if session.database[name].find_one({}, {"_id": 1}) is not None:
        raise RefusedError("there are documents in it by now: it stays")
    # a name that nobody writes to; the rename would fail if it were taken
    aside = f"{name}.upkeep_{secrets.token_hex(4)}"
    session.database[name].rename(aside)
    if session.database[aside].find_one({}, {"_id": 1}) is None:
        session.database[aside].drop()
        return f"dropped {name}, which was empty"
    # fails when a writer has made the collection anew meanwhile: then both are left to a person
    with suppress(OperationFailure):
        session.database[aside].rename(name)
        raise RefusedError("a document arrived at this moment: it stays")
    raise StateChangedError(f"documents arrived at this moment: look at {aside}, and at {name}, made anew by a writer")
