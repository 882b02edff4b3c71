"""Carrying out one action of retention, and taking back what can be."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from pymongo.errors import OperationFailure

from upkeep.jobs.contract import Work
from upkeep.jobs.errors import RefusedError, StateChangedError
from upkeep.jobs.outcomes import DoneSoFar
from upkeep.model import Action, Outcome
from upkeep.mongo import catalog, ddl, faults, outcomes
from upkeep.mongo.data_retention import covered, measurements
from upkeep.mongo.data_retention.age_facts import known
from upkeep.mongo.data_retention.args import Creation, Documents, Expiry, Measurements, Moved, Sooner
from upkeep.mongo.data_retention.batches import Sweep
from upkeep.mongo.data_retention.covered import CoveredSweep
from upkeep.mongo.data_retention.doomed import Doomed
from upkeep.mongo.data_retention.view import NIGHT, before, leads
from upkeep.mongo.elections import persist
from upkeep.mongo.faults import EXISTS
from upkeep.mongo.outcomes import Apply
from upkeep.mongo.session import LOOK_MS, Doc, MongoSession


def _row(session: MongoSession, collection: str, uuid: str | None) -> Doc:
    """Return the collection; raise when it is not the one that the plan saw."""
    found = catalog.collections(session, [collection])
    if not found or (uuid is not None and found[0]["uuid"] != uuid):
        raise StateChangedError("the collection is another one, or gone: the next run looks again")
    return found[0]


def _require_archive(session: MongoSession, into: str, archive: str | None) -> None:
    """Raise when the archive is gone, or another collection than the one that was planned to be added to."""
    found = catalog.collections(session, [into])
    if not found:
        raise StateChangedError(f"the archive {into} is gone: the next run makes it")
    if archive is not None and found[0]["uuid"] != archive:
        text = f"the archive {into} was dropped and made anew since it was planned"
        raise StateChangedError(f"{text}: see what became of the documents in it, and plan again")


def _create_archive(work: Work[MongoSession], done: DoneSoFar) -> None:
    session, args = work.session, Creation.of(work.action)
    work.checkpoint(f"create {args.collection}")
    try:
        ddl.change(session, catalog.value(args.command), work.sleep)
    except OperationFailure as error:
        if faults.code(error) not in EXISTS:
            raise
        done.message = "it is there already"
        return
    row = catalog.collections(session, [args.collection])[0]
    done.evidence = {"created": True, "uuid": row["uuid"]}


def _rows(work: Work[MongoSession], done: DoneSoFar) -> None:
    session, moved = work.session, Moved.of(work.action) if work.action.kind == "archive_rows" else None
    args = moved or Documents.of(work.action)
    row = persist(work, lambda: _row(session, args.collection, args.uuid))
    doomed = Doomed(args.collection, args.age, args.cut_off, args.index)
    # without it every batch would read and sort the whole collection
    if doomed.index is not None and not any(i["name"] == doomed.index and leads(i, doomed.age) for i in row["indexes"]):
        raise StateChangedError(f"the index {doomed.index} is gone, hidden or another one: the next run looks again")
    if moved is not None:
        persist(work, lambda: _require_archive(session, moved.into, moved.archive))
    into = moved.into if moved else None
    sweep = Sweep(session, work, doomed, into)
    if work.backup is not None:
        sweep = CoveredSweep(session, work, doomed, into, ranges=covered.ranges(work, doomed))
    try:
        sweep.run()
    finally:
        done.rows = sweep.tally.deleted
        done.evidence = {
            **sweep.tally.evidence(moving=moved is not None),
            "cut_off": args.cut_off.isoformat(),
            "waited_seconds": round(sweep.waited, 1),
        }
    if isinstance(sweep, CoveredSweep):
        covered.tell(sweep, done)


def _archive(work: Work[MongoSession], done: DoneSoFar) -> None:
    session, args = work.session, Measurements.of(work.action)
    persist(work, lambda: _row(session, args.collection, args.uuid))
    persist(work, lambda: _require_archive(session, args.into, args.archive))
    pair = measurements.Pair(session, args.collection, args.time, args.into)
    measurements.archive(work, done, pair, args.cut_off)


def _expiry(work: Work[MongoSession], done: DoneSoFar) -> None:
    """Change when measurements expire; never so that one goes which is not in the archive."""
    session, args = work.session, Expiry.of(work.action)
    row = persist(work, lambda: _row(session, args.collection, args.uuid))
    done.evidence = {"before": row["expires"], "after": args.seconds, "uuid": row["uuid"]}
    if row["expires"] == args.seconds:
        done.message = "it is so already"
        return
    # somebody else set it meanwhile, and may know why
    if row["expires"] != args.expected:
        raise StateChangedError(f"its expireAfterSeconds is {row['expires']} by now, planned was {args.expected}")
    sooner = Sooner.of(work.action) if work.action.kind == "set_expiry" else None
    if sooner is not None and sooner.into:
        into = sooner.into
        if sooner.archive is not None:  # else nothing was due yet, or it was made since: it is proven here
            persist(work, lambda: _require_archive(session, into, sooner.archive))
        pair = measurements.Pair(session, sooner.collection, sooner.time, into)
        # until the next run the server goes on deleting, a night further than today
        reach = session.now() - timedelta(seconds=sooner.seconds) + NIGHT
        # before the change, not after: within a minute the server deletes by it, and nothing tells it to wait
        if not persist(work, lambda: pair.is_archived(reach)):
            text = f"measurements before {reach:%Y-%m-%d %H:%M} are not all in {into}: they would be deleted"
            raise StateChangedError(f"{text} before the archive has them; the next run archives and tries again")
    if sooner is not None and work.most is not None:
        work.allow(persist(work, lambda: _would_expire(session, sooner)))
    work.checkpoint(f"{work.action.kind} {args.collection}")
    ddl.change(session, _expire_after(args.collection, args.seconds), work.sleep)
    done.rows = 0  # the server deletes, from now on


def _would_expire(session: MongoSession, args: Sooner) -> int:
    """Count what of the planned range the server would expire at once; raise when that cannot be counted.

    Nobody approved an unknown. What came of age since the plan is not counted: an expiry lets time pass, that is what
    was approved.
    """
    bounds = {args.time: {"$lt": min(args.expired_before, before(session.now(), args.seconds))}}
    found = known(lambda: session.database[args.collection].count_documents(bounds, maxTimeMS=LOOK_MS))
    if found is None:
        raise StateChangedError("how many measurements would expire could not be counted in time: plan again")
    return int(found)


def _expire_after(name: str, seconds: int | None) -> Doc:
    return {"collMod": name, "expireAfterSeconds": "off" if seconds is None else seconds}


_KINDS: Final[Mapping[str, Apply]] = {
    "delete_rows": _rows,
    "archive_rows": _rows,
    "create_archive": _create_archive,
    "archive_measurements": _archive,
    "set_expiry": _expiry,
    "lengthen_expiry": _expiry,
    "suspend_expiry": _expiry,
}


def apply(work: Work[MongoSession]) -> Outcome:
    """Carry one action out; raises what stops the run."""
    return outcomes.carry_out(work, _KINDS[work.action.kind])


# -- taking back -------------------------------------------------------------------------------------


def undo(work: Work[MongoSession], outcome: Outcome) -> Outcome:
    """Restore the expiry that was there, drop an archive that is empty; say so where nothing can be taken back."""
    return outcomes.take_back(work.action, lambda: _undo(work.session, work.action, outcome.evidence))


def _undo(session: MongoSession, action: Action, evidence: Mapping[str, Any]) -> str:
    kind = action.kind
    if kind == "create_archive":
        name = Creation.of(action).collection
        return ddl.drop_empty(session, name, _row(session, name, evidence.get("uuid")), evidence)
    if kind.endswith("_expiry"):
        return _restore_expiry(session, Expiry.of(action), evidence)
    if kind == "archive_measurements":
        raise RefusedError(f"nothing was taken away: the copies in {Measurements.of(action).into} may stay")
    if kind == "archive_rows":
        raise RefusedError(f"the documents are in {Moved.of(action).into}: copy them back by hand ($merge)")
    raise RefusedError("what was deleted comes back only from a backup")


def _restore_expiry(session: MongoSession, args: Expiry, evidence: Mapping[str, Any]) -> str:
    row = _row(session, args.collection, args.uuid)
    before, after = evidence.get("before"), evidence.get("after")
    if row["expires"] != after:
        raise RefusedError(f"its expireAfterSeconds is {row['expires']} by now: somebody changed it, it stays")
    # taking back must not delete: what expires sooner needs a plan like any other deletion
    if before is not None and (after is None or before < after):
        text = f"going back to {before:,} s would delete more, which needs a plan and what the policy requires"
        raise RefusedError(text)
    ddl.change(session, _expire_after(args.collection, before), ddl.immediately)
    return f"expireAfterSeconds is {'off' if before is None else before} again; what has expired does not come back"
