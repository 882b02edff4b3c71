"""Making or correcting one collection or index, and taking that back.

Every change looks at the state again first; what somebody else made meanwhile in the declared way counts as done,
anything else is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pymongo.errors import OperationFailure

from upkeep.jobs.contract import Work
from upkeep.jobs.errors import RefusedError, StateChangedError
from upkeep.jobs.outcomes import DoneSoFar
from upkeep.model import Action, Outcome
from upkeep.mongo import catalog, ddl, faults, outcomes
from upkeep.mongo.outcomes import Apply
from upkeep.mongo.partition_creation.args import Correction, Creation, IndexCreation
from upkeep.mongo.partition_creation.care import Care, cares
from upkeep.mongo.session import Doc, MongoSession


def _row(session: MongoSession, name: str) -> Doc | None:
    found = catalog.collections(session, [name])
    return found[0] if found else None


def _now(work: Work[MongoSession]) -> Care:
    """Return the collection as it is now beside its policy."""
    name = work.action.subject
    row = _row(work.session, name)
    # the validators' files as they were when planned: what was approved is what is done
    frames = {**work.observation.frames, "collections": [row] if row else []}
    return next(care for care in cares(frames, work.target) if care.subject == name)


def _same(row: Doc | None, uuid: str | None) -> None:
    if row is None or (uuid is not None and row["uuid"] != uuid):
        raise StateChangedError("the collection is another one, or gone: the next run looks again")


def _create(work: Work[MongoSession], done: DoneSoFar) -> None:
    session, args = work.session, Creation.of(work.action)
    care = _now(work)
    if care.row is None:
        work.checkpoint(f"create {args.collection}")
        try:
            ddl.change(session, catalog.value(args.command), work.sleep)
        except OperationFailure as error:
            # somebody was faster: what they made is looked at below
            if faults.code(error) not in faults.EXISTS:
                raise
        else:
            row = _row(session, args.collection) or {}
            done.evidence = {"created": True, "uuid": row.get("uuid")}
            return
        care = _now(work)
    fatal = [d for d in care.differences if d.check in ("kind", "timeseries", "granularity", "validator")]
    if fatal:
        raise StateChangedError(f"somebody else made it meanwhile, and differently: {fatal[0].text}")
    done.message = "it is there already"


def _index(work: Work[MongoSession], done: DoneSoFar) -> None:
    session, args = work.session, IndexCreation.of(work.action)
    care = _now(work)
    _same(care.row, args.uuid)
    if not any(index.name == args.index for index in care.missing_indexes):
        _index_is_there(care, args.index, done)
        return
    work.checkpoint(f"build {args.index} on {args.collection}")
    # without a time limit: a build takes as long as the collection is large; `MongoSession.cancel` ends it
    session.database.command(catalog.value(args.command))
    done.evidence = {"created": True, "uuid": (care.row or {}).get("uuid"), "index": args.index}


def _index_is_there(care: Care, name: str, done: DoneSoFar) -> None:
    wrong = [d for d in care.differences if d.check in ("index_name", "index_conflict") and name in d.text]
    if wrong:
        raise StateChangedError(wrong[0].text)
    done.message = "it is there already"


def _correct(work: Work[MongoSession], done: DoneSoFar) -> None:
    session, args = work.session, Correction.of(work.action)
    care = _now(work)
    _same(care.row, args.uuid)
    commands = [catalog.text(d.command) for d in care.differences if d.command is not None]
    # the same command follows from how it differs now: else something else would be overwritten
    if args.command not in commands:
        raise StateChangedError("it differs no more, or in another way: the next run looks again")
    work.checkpoint(f"{work.action.kind} {args.collection}")
    ddl.change(session, catalog.value(args.command), work.sleep)
    done.evidence = {"uuid": args.uuid, "reverse": args.reverse}


_KINDS: Final[Mapping[str, Apply]] = {
    "create_collection": _create,
    "create_index": _index,
    "modify_validator": _correct,
    "raise_granularity": _correct,
    "unhide_index": _correct,
}


def apply(work: Work[MongoSession]) -> Outcome:
    """Carry one action out; raises what stops the run."""
    return outcomes.carry_out(work, _KINDS[work.action.kind])


# -- taking back -------------------------------------------------------------------------------------


def undo(work: Work[MongoSession], outcome: Outcome) -> Outcome:
    """Drop what we created while it is empty, or restore what was there before."""
    return outcomes.take_back(work.action, lambda: _undo(work.session, work.action, outcome.evidence))


def _undo(session: MongoSession, action: Action, evidence: Mapping[str, Any]) -> str:
    name = action.subject
    row = _row(session, name)
    _same(row, evidence.get("uuid"))
    if action.kind == "create_index":
        return _drop_index(session, name, evidence)
    if action.kind == "create_collection":
        return ddl.drop_empty(session, name, row or {}, evidence)
    if not evidence.get("reverse"):
        raise RefusedError("the server does not let it go back")
    ddl.change(session, catalog.value(evidence["reverse"]), ddl.immediately)
    return f"restored: {Correction.of(action).reverse}"


def _drop_index(session: MongoSession, name: str, evidence: Mapping[str, Any]) -> str:
    if not evidence.get("created"):
        raise RefusedError("the index was there already: it is not ours to drop")
    if not any(index["name"] == evidence["index"] for index in catalog.indexes(session, name)):
        return f"index {evidence['index']} is gone already"
    session.database[name].drop_index(evidence["index"])
    return f"dropped index {evidence['index']}"
