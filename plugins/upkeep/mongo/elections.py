"""Work that goes on through an election: tried again until there is a primary, or for too long there is none."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from pymongo.errors import PyMongoError

from upkeep.errors import UnreachableError
from upkeep.jobs.contract import Work
from upkeep.jobs.errors import LockNotObtainedError
from upkeep.mongo import catalog, faults
from upkeep.mongo.session import MongoSession

T = TypeVar("T")

ELECTION_SECONDS: Final = 60.0
"""So long the work waits for a new primary: an election takes 10 to 12 seconds, a restart somewhat longer."""
AGAIN_SECONDS: Final = 0.5


def persist(work: Work[MongoSession], attempt: Callable[[], T]) -> T:
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
            # a refusal stays one, however often it is asked
            if not faults.is_transient(error):
                raise
            # a conflict, not an election: who else writes those documents is what a person needs to know
            if time.monotonic() >= deadline and not faults.is_lost(error):
                session, name = work.session, work.action.subject
                text = f"others write the same documents for {ELECTION_SECONDS:.0f} s ({faults.describe(error)})"
                raise LockNotObtainedError(f"{text}: {catalog.holders(session, name)}") from error
            if time.monotonic() >= deadline:
                text = f"{faults.describe(error)} for {ELECTION_SECONDS:.0f} s; the next run carries on"
                raise UnreachableError(text) from error
        work.sleep(AGAIN_SECONDS)
