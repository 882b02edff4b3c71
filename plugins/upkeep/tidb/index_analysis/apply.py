"""How an exact duplicate is hidden, and how it is shown again: one schema change each, of the catalog alone.

A kill at any moment leaves the index hidden or not; either way the next run sees it.
"""

from __future__ import annotations

from upkeep.fleet import Target
from upkeep.jobs import outcomes
from upkeep.jobs.contract import Work
from upkeep.jobs.errors import ActionError, AlreadyDoneError, RefusedError, StateChangedError
from upkeep.jobs.index_analysis.indexes import Index, duplicates
from upkeep.jobs.outcomes import DoneSoFar
from upkeep.model import Outcome
from upkeep.tidb import catalog, ddl, faults, sql
from upkeep.tidb.ddl import Tools
from upkeep.tidb.index_analysis import observe, plan, view
from upkeep.tidb.index_analysis.args import Hide
from upkeep.tidb.session import TiDBSession


def apply(work: Work[TiDBSession]) -> Outcome:
    """Hide the index; expected trouble becomes an outcome."""
    tools = Tools(work.session, work.checkpoint, work.sleep)

    def do(done: DoneSoFar) -> None:
        args = Hide.of(work.action)
        with ddl.claim(tools.session, args.table.id):
            ddl.settle(tools, args.table.schema, args.table.name)
            _recheck(_here(work.session, args, work.target), args)
            ddl.run(tools, plan.alter(args, "invisible"), what=f"hiding {work.action.subject}")
            done.evidence = {"hidden": True, "stays": args.twin}
            twin = next((one for one in _here(work.session, args) if one.subject == args.twin), None)
            if twin is None or not twin.serves:
                raise ActionError(f"{args.twin} was taken away at the same time: {work.action.undo}")

    return outcomes.carry_out(work.action, do, faults.classify)


def _here(session: TiDBSession, args: Hide, target: Target | None = None) -> list[Index]:
    """Return the indexes of the table. Raises `StateChangedError` when it is another table by now."""
    catalog.partitions_of(session, args.table)
    among = sql.fill("i.table_name = %(name)s", {"name": args.table.name})
    return view.indexes(observe.read(session, [args.table.schema], among), target)


def _recheck(now: list[Index], args: Hide) -> None:
    index = _named(now, args)
    if index is None:
        raise StateChangedError("it is gone, or another one; plan again")
    if index.hidden:
        raise AlreadyDoneError("it is hidden already")
    if index.bound:
        raise StateChangedError(f"{index.bound}; it stays")
    pairs = {pair.index.subject: pair.twin.subject for pair in duplicates(now)}
    if pairs.get(index.subject) != args.twin:
        raise StateChangedError(f"{args.twin} is no visible index of the same kind any more; it stays")


def _named(now: list[Index], args: Hide) -> Index | None:
    known = (one for one in now if one.row["name"] == args.name and one.age == args.index_id)
    return next((one for one in known if one.row["definition"] == args.definition), None)


def undo(work: Work[TiDBSession], outcome: Outcome) -> Outcome:
    """Let queries use the index again."""
    tools = Tools(work.session, work.checkpoint, work.sleep)

    def do(done: DoneSoFar) -> None:
        if not outcome.evidence.get("hidden"):
            raise RefusedError("it was hidden already: it is not ours to show")
        args = Hide.of(work.action)
        with ddl.claim(tools.session, args.table.id):
            ddl.settle(tools, args.table.schema, args.table.name)
            index = _named(_here(work.session, args), args)
            if index is None:
                raise StateChangedError("it is gone, or another one by now")
            if index.hidden:
                ddl.run(tools, plan.alter(args, "visible"), what=f"showing {work.action.subject}")
            done.message = f"{work.action.subject} is visible"

    return outcomes.carry_out(work.action, do, faults.classify)
