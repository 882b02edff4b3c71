"""Carrying out one action of retention, and taking back what can be."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from pymongo.errors import OperationFailure

from upkeep.jobs.contract import Work
from upkeep.jobs.errors import RefusedError, StateChangedError
from upkeep.jobs.outcomes import DoneSoFar
from upkeep.model import Action, Outcome
from upkeep.mongo import catalog, ddl, faults, outcomes
from upkeep.mongo.data_retention import measurements
from upkeep.mongo.data_retention.age_facts import known
from upkeep.mongo.data_retention.batches import Sweep
from upkeep.mongo.data_retention.doomed import Doomed
from upkeep.mongo.data_retention.view import NIGHT, before, leads
from upkeep.mongo.elections import persist
from upkeep.mongo.faults import EXISTS
from upkeep.mongo.outcomes import Apply
from upkeep.mongo.session import LOOK_MS, Doc, MongoSession


def _session(work: Work[MongoSession]) -> MongoSession:
    return work.session


def _row(session: MongoSession, args: Mapping[str, Any]) -> Doc:
    """Return the collection; raise when it is not the one that the plan saw."""
    found = catalog.collections(session, [args["collection"]])
    if not found or (args["uuid"] is not None and found[0]["uuid"] != args["uuid"]):
        raise StateChangedError("the collection is another one, or gone: the next run looks again")
    return found[0]


def _require_archive(session: MongoSession, args: Mapping[str, Any]) -> None:
    """Raise when the archive is gone, or another collection than the one that was planned to be added to."""
    found = catalog.collections(session, [args["into"]])
    if not found:
        raise StateChangedError(f"the archive {args['into']} is gone: the next run makes it")
    if args["archive"] is not None and found[0]["uuid"] != args["archive"]:
        text = f"the archive {args['into']} was dropped and made anew since it was planned"
        raise StateChangedError(f"{text}: see what became of the documents in it, and plan again")


def _create_archive(work: Work[MongoSession], done: DoneSoFar) -> None:
    session, args = _session(work), work.action.args
    work.checkpoint(f"create {args['collection']}")
    try:
        ddl.change(session, catalog.value(args["command"]), work.sleep)
    except OperationFailure as error:
        if faults.code(error) not in EXISTS:
            raise
        done.message = "it is there already"
        return
    row = catalog.collections(session, [args["collection"]])[0]
    done.evidence = {"created": True, "uuid": row["uuid"]}


def _rows(work: Work[MongoSession], done: DoneSoFar) -> None:
    session, args = _session(work), work.action.args
    row = persist(work, lambda: _row(session, args))
    doomed = Doomed.from_args(args)
    # without it every batch would read and sort the whole collection
    if doomed.index is not None and not any(i["name"] == doomed.index and leads(i, doomed.age) for i in row["indexes"]):
        raise StateChangedError(f"the index {doomed.index} is gone, hidden or another one: the next run looks again")
    moving = work.action.kind == "archive_rows"
    if moving:
        persist(work, lambda: _require_archive(session, args))
    sweep = Sweep(session, work, doomed, args["into"] if moving else None)
    try:
        sweep.run()
    finally:
        done.rows = sweep.tally.deleted
        done.evidence = {
            **sweep.tally.evidence(moving=moving),
            "cut_off": args["cut_off"],
            "waited_seconds": round(sweep.waited, 1),
        }


def _archive(work: Work[MongoSession], done: DoneSoFar) -> None:
    session, args = _session(work), work.action.args
    persist(work, lambda: _row(session, args))
    persist(work, lambda: _require_archive(session, args))
    pair = measurements.Pair(session, args["collection"], args["time"], args["into"])
    measurements.archive(work, done, pair, datetime.fromisoformat(args["cut_off"]))


def _expiry(work: Work[MongoSession], done: DoneSoFar) -> None:
    """Change when measurements expire; never so that one goes which is not in the archive."""
    session, args = _session(work), work.action.args
    row = persist(work, lambda: _row(session, args))
    done.evidence = {"before": row["expires"], "after": args["seconds"], "uuid": row["uuid"]}
    if row["expires"] == args["seconds"]:
        done.message = "it is so already"
        return
    # somebody else set it meanwhile, and may know why
    if row["expires"] != args["expected"]:
        raise StateChangedError(f"its expireAfterSeconds is {row['expires']} by now, planned was {args['expected']}")
    if work.action.kind == "set_expiry" and args["into"]:
        if args["archive"] is not None:  # else nothing was due yet, or it was made since: what is in it is proven here
            persist(work, lambda: _require_archive(session, args))
        pair = measurements.Pair(session, args["collection"], args["time"], args["into"])
        # until the next run the server goes on deleting, a night further than today
        reach = session.now() - timedelta(seconds=args["seconds"]) + NIGHT
        # before the change, not after: within a minute the server deletes by it, and nothing tells it to wait
        if not persist(work, lambda: pair.is_archived(reach)):
            text = f"measurements before {reach:%Y-%m-%d %H:%M} are not all in {args['into']}: they would be deleted"
            raise StateChangedError(f"{text} before the archive has them; the next run archives and tries again")
    if work.action.destructive and work.most is not None:
        work.allow(persist(work, lambda: _would_expire(session, args)))
    work.checkpoint(f"{work.action.kind} {args['collection']}")
    ddl.change(session, _expire_after(args["collection"], args["seconds"]), work.sleep)
    done.rows = 0  # the server deletes, from now on


def _would_expire(session: MongoSession, args: Mapping[str, Any]) -> int:
    """Count what of the planned range the server would expire at once; raise when that cannot be counted.

    Nobody approved an unknown. What came of age since the plan is not counted: an expiry lets time pass, that is what
    was approved.
    """
    planned = datetime.fromisoformat(args["expired_before"])
    bounds = {args["time"]: {"$lt": min(planned, before(session.now(), args["seconds"]))}}
    found = known(lambda: session.database[args["collection"]].count_documents(bounds, maxTimeMS=LOOK_MS))
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
    kind, args = action.kind, action.args
    if kind == "create_archive":
        row = _row(session, {"collection": args["collection"], "uuid": evidence.get("uuid")})
        return ddl.drop_empty(session, args["collection"], row, evidence)
    if kind.endswith("_expiry"):
        return _restore_expiry(session, args, evidence)
    if kind == "archive_measurements":
        raise RefusedError(f"nothing was taken away: the copies in {args['into']} may stay")
    if kind == "archive_rows":
        raise RefusedError(f"the documents are in {args['into']}: copy them back by hand ($merge)")
    raise RefusedError("what was deleted comes back only from a backup")


def _restore_expiry(session: MongoSession, args: Mapping[str, Any], evidence: Mapping[str, Any]) -> str:
    row = _row(session, args)
    before, after = evidence.get("before"), evidence.get("after")
    if row["expires"] != after:
        raise RefusedError(f"its expireAfterSeconds is {row['expires']} by now: somebody changed it, it stays")
    # taking back must not delete: what expires sooner needs a plan like any other deletion
    if before is not None and (after is None or before < after):
        text = f"going back to {before:,} s would delete more, which needs a plan and what the policy requires"
        raise RefusedError(text)
    ddl.change(session, _expire_after(args["collection"], before), ddl.immediately)
    return f"expireAfterSeconds is {'off' if before is None else before} again; what has expired does not come back"
