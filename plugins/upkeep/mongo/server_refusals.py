"""When the server as a whole takes no writes, whatever the collection: said once, of the server, with what mends it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bson import ObjectId
from pymongo.errors import PyMongoError

from upkeep.fleet import Target
from upkeep.jobs.data_retention.refusal import Refusal
from upkeep.mongo import catalog, faults
from upkeep.mongo.session import Doc, MongoSession

WAIT_MS: Final = 3_000
"""A write that changes nothing takes milliseconds; so long it may wait for its lock."""
CONFIRM_MS: Final = 10_000
"""So long a majority may take to confirm it: members further behind are waited for anyway."""
LOCKED: Final = Refusal(
    faults.REFUSES,
    "the server is locked against writes (fsyncLock)",
    "db.fsyncUnlock(), once the backup that locked it is over",
)


def of_server(
    session: MongoSession, target: Target, collections: Iterable[str], granted: list[Doc] | None
) -> Refusal | None:
    """Return why the server takes no writes: asked once, of the first collection that we may delete from.

    Nothing is sent where we only observe; and that it is no primary, the server says itself.
    """
    is_primary = bool(session.hello.get("isWritablePrimary"))
    if target.mode != "enforce" or session.topology != "replica_set" or not is_primary:
        return None
    database = session.database.name
    name = next((n for n in collections if catalog.allowed(granted, database, n, "remove")), None)
    return None if name is None else look(session, name)


def look(session: MongoSession, collection: str) -> Refusal | None:
    """Return why the server takes no writes: by deleting a document that cannot be there, confirmed by a majority."""
    nobody = {"findAndModify": collection, "query": {"_id": ObjectId()}, "remove": True}
    concern = {"w": "majority", "wtimeout": CONFIRM_MS}
    try:
        answer = session.database.command({**nobody, "maxTimeMS": WAIT_MS, "writeConcern": concern})
    except PyMongoError as error:
        if faults.is_lost(error):
            raise
        return LOCKED if faults.code(error) in faults.TIMED_OUT and _is_locked(session) else faults.refusal(error)
    unconfirmed = answer.get("writeConcernError")
    return None if not unconfirmed else faults.REFUSALS.get(int(unconfirmed.get("code", 0)), faults.NO_MAJORITY)


def _is_locked(session: MongoSession) -> bool:
    """Return whether the whole server is locked; where our user may not ask, a write that waits so long says so."""
    answer = session.ask("currentOp")
    return True if answer is None else bool(answer.get("fsyncLock"))
