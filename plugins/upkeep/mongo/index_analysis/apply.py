"""How a duplicate is hidden, and how it is shown again: one command each.

A kill at any moment leaves the index hidden or not; either way the next run sees it.
"""

from __future__ import annotations

from upkeep.fleet import Target
from upkeep.jobs.contract import Work
from upkeep.jobs.errors import ActionError, AlreadyDoneError, RefusedError, StateChangedError
from upkeep.jobs.index_analysis.indexes import Index, duplicates
from upkeep.jobs.outcomes import DoneSoFar
from upkeep.model import Outcome
from upkeep.mongo import ddl, outcomes
from upkeep.mongo.index_analysis import observe, plan, view
from upkeep.mongo.index_analysis.args import Hide
from upkeep.mongo.session import MongoSession


def apply(work: Work[MongoSession]) -> Outcome:
    """Hide the index; expected trouble becomes an outcome."""
    return outcomes.carry_out(work, _hide)


def _hide(work: Work[MongoSession], done: DoneSoFar) -> None:
    args = Hide.of(work.action)
    work.checkpoint(f"hide {work.action.subject}")
    _recheck(_here(work.session, args, work.target), args)
    ddl.change(work.session, plan.command(args, hidden=True), work.sleep)
    done.evidence = {"hidden": True, "stays": args.twin}
    twin = next((one for one in _here(work.session, args) if one.subject == args.twin), None)
    if twin is None or not twin.serves:
        raise ActionError(f"{args.twin} was taken away at the same time: {work.action.undo}")


def _here(session: MongoSession, args: Hide, target: Target | None = None) -> list[Index]:
    rows = observe.read(session, [args.collection])
    if not rows or rows[0]["uuid"] != args.uuid:
        raise StateChangedError("the collection is another one, or gone: the next run looks again")
    topology = [{"topology": session.topology}]
    frames = {"indexes": rows, "shard_keys": observe.shard_keys(session), "server": topology}
    return view.indexes(frames, target)


def _recheck(now: list[Index], args: Hide) -> None:
    index = _named(now, args)
    if index is None:
        raise StateChangedError("it is gone, or another one; plan again")
    if index.hidden:
        raise AlreadyDoneError("it is hidden already")
    if why := index.bound or index.hinders:
        raise StateChangedError(f"{why}; it stays")
    pairs = {pair.index.subject: pair.twin.subject for pair in duplicates(now)}
    if pairs.get(index.subject) != args.twin:
        raise StateChangedError(f"{args.twin} is no index of the same kind that serves any more; it stays")


def _named(now: list[Index], args: Hide) -> Index | None:
    return next((o for o in now if (o.row["name"], o.row["definition"]) == (args.index, args.definition)), None)


def undo(work: Work[MongoSession], outcome: Outcome) -> Outcome:
    """Let queries use the index again."""
    return outcomes.take_back(work.action, lambda: _show(work, outcome))


def _show(work: Work[MongoSession], outcome: Outcome) -> str:
    if not outcome.evidence.get("hidden"):
        raise RefusedError("it was hidden already: it is not ours to show")
    args = Hide.of(work.action)
    if _named(_here(work.session, args), args) is None:
        raise StateChangedError("it is gone, or another one by now")
    ddl.change(work.session, plan.command(args, hidden=False), ddl.immediately)
    return f"{work.action.subject} is shown again"
