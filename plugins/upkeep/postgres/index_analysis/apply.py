"""How an exact duplicate is dropped, and how it comes back.

DROP INDEX CONCURRENTLY first keeps queries from the index, then waits for transactions that may still use it, then
drops it. Ended in between, by a kill or because somebody reads for too long, it leaves the index invalid: queries take
the twin, nothing is lost, and the next run plans its drop again. Building again (undo) may be ended in the same way:
what it left is dropped first the next time.
"""

from __future__ import annotations

import contextlib
from typing import Final

import psycopg
from psycopg import sql

from upkeep.errors import UpkeepError
from upkeep.fleet import Target
from upkeep.jobs import outcomes
from upkeep.jobs.contract import Work
from upkeep.jobs.errors import ActionError, AlreadyDoneError, LockNotObtainedError, RefusedError, StateChangedError
from upkeep.jobs.index_analysis.indexes import Index, duplicates
from upkeep.jobs.outcomes import DoneSoFar
from upkeep.model import Outcome
from upkeep.postgres import ddl, faults, holders
from upkeep.postgres.index_analysis import plan, view
from upkeep.postgres.index_analysis.args import Drop
from upkeep.postgres.session import PostgresSession

LONG_SECONDS: Final = 30.0
"""A transaction that has used the table for so long is not waited for: nothing is begun then."""
RETRY: Final = ddl.DEFAULT_RETRY
BUILD_LOCK: Final = "10min"
"""How long building waits for older transactions; only schema changes of the table wait behind that."""


def apply(work: Work[PostgresSession]) -> Outcome:
    """Drop the index; expected trouble becomes an outcome."""

    def do(done: DoneSoFar) -> None:
        _drop(work, Drop.of(work.action), done)

    return outcomes.carry_out(work.action, do, lambda error: faults.classify(error, work.session.connection))


def _drop(work: Work[PostgresSession], args: Drop, done: DoneSoFar) -> None:
    session = work.session
    work.checkpoint(f"looking at {work.action.subject}")
    _recheck(_here(session, args, work.target), args)
    seconds = session.rows("index_analysis/readers", {"table": args.table_oid})[0]["seconds"]
    if seconds is not None and seconds > LONG_SECONDS:
        who = holders.held_by(session, [args.table_oid])
        raise LockNotObtainedError(f"a transaction has used {args.table} for {seconds:.0f} s; nothing was changed{who}")
    try:
        ddl.run_alone(
            session,
            plan.drop(args),
            checkpoint=work.checkpoint,
            sleep=work.sleep,
            retry=RETRY,
            lock_seconds=ddl.QUIET_SECONDS,
            what=f"dropping {work.action.subject}",
        )
    except LockNotObtainedError as error:
        raise LockNotObtainedError(f"{error}{_left(session, args)}") from error
    done.evidence = {"definition": args.definition, "stays": args.twin}
    done.bytes = work.action.bytes
    twin = next((one for one in _here(session, args) if one.row["oid"] == args.twin_oid), None)
    if twin is None or not twin.serves:
        raise ActionError(f"{args.twin} was taken away meanwhile; {work.action.undo}")


def _here(session: PostgresSession, args: Drop, target: Target | None = None) -> list[Index]:
    rows = session.rows("indexes", {"table": args.table_oid})
    return view.indexes(rows, target, replica=session.is_replica)


def _recheck(now: list[Index], args: Drop) -> None:
    """Raise when the index is not, as it was planned, an exact duplicate of the one that stays."""
    index = next((one for one in now if one.row["oid"] == args.index_oid), None)
    if index is None:
        raise AlreadyDoneError("it is gone already")
    if why := index.bound or index.hinders:
        raise StateChangedError(f"{why}; it stays")
    if (index.row["definition"], index.row["comment"]) != (args.definition, args.comment):
        raise StateChangedError("it is another one than was planned for; plan again")
    pairs = {pair.index.row["oid"]: pair.twin.row["oid"] for pair in duplicates(now)}
    if pairs.get(args.index_oid) != args.twin_oid:
        raise StateChangedError(f"{args.twin} is no valid index of the same kind any more; it stays")


def _left(session: PostgresSession, args: Drop) -> str:
    """Return what an attempt that gave up has left, as the end of a sentence."""
    with contextlib.suppress(UpkeepError, psycopg.Error):
        index = next((one for one in _here(session, args) if one.row["oid"] == args.index_oid), None)
        if index is not None and not index.valid:
            return f"; until then it is invalid: no query uses it, {args.twin} serves"
    return ""


# -- taking back -------------------------------------------------------------------------------------


def undo(work: Work[PostgresSession], outcome: Outcome) -> Outcome:
    """Build the index again as it was; expected trouble becomes an outcome."""

    def do(done: DoneSoFar) -> None:
        if "definition" not in outcome.evidence:
            raise RefusedError("it was gone already: it is not ours to bring back")
        done.message = _build(work, Drop.of(work.action))

    return outcomes.carry_out(work.action, do, lambda error: faults.classify(error, work.session.connection))


def _build(work: Work[PostgresSession], args: Drop) -> str:
    session, subject = work.session, work.action.subject
    named = session.rows(
        "index_analysis/named", {"schema": args.schema_, "name": args.name, "table_oid": args.table_oid}
    )[0]
    if named["table_name"] is None:
        raise StateChangedError(f"{args.table} is gone, or another one")
    there = next((one for one in _here(session, args) if one.row["oid"] == named["oid"]), None)
    if named["oid"] is not None and (there is None or there.row["definition"] != args.definition):
        raise StateChangedError(f"something else bears the name {subject} by now; nothing was changed")
    if there is not None and there.valid:
        return f"{subject} is there already"
    if there is not None and there.row["is_held"]:
        raise LockNotObtainedError(f"somebody builds {subject} right now")
    if there is not None:  # what an interrupted building left
        work.checkpoint(f"dropping what is left of {subject}")
        what = f"dropping {subject}"
        ddl.run_alone(session, plan.drop(args), checkpoint=work.checkpoint, sleep=work.sleep, what=what)
    work.checkpoint(f"building {subject}")
    with ddl.building(session, lock=BUILD_LOCK, tablespace=args.tablespace):
        # the catalog's own text, of names that it quotes itself
        session.execute(sql.SQL(plan.building(args.definition)))
    if args.comment is not None:
        parts = {"index": sql.Identifier(args.schema_, args.name), "text": sql.Literal(args.comment)}
        session.execute(session.statement("index_analysis/comment", **parts))
    return f"{subject} is built again"
