"""How an index is rebuilt beside readers and writers, and how what an interrupted run has left goes.

REINDEX CONCURRENTLY builds a new index under another name (…_ccnew), exchanges the two, and drops the old one by then
called …_ccold. Ended in between it leaves one of them, invalid; every write may still keep it up to date. What this run
leaves it drops itself; what a killed one left, the next: only of exactly this index, and never one being built.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Final

import psycopg
from psycopg import sql

from upkeep.errors import CancelledError, LeaseLostError, LedgerError, StopError, UpkeepError
from upkeep.jobs import outcomes
from upkeep.jobs.contract import Checkpoint, Work, go_on
from upkeep.jobs.errors import (
    ActionError,
    AlreadyDoneError,
    LockNotObtainedError,
    OverloadedError,
    RefusedError,
    StateChangedError,
)
from upkeep.jobs.outcomes import DoneSoFar
from upkeep.model import Outcome
from upkeep.postgres import ddl, faults, holders, names
from upkeep.postgres.reindex import observe, plan, space, view
from upkeep.postgres.reindex.args import Leftover, Rebuild
from upkeep.postgres.reindex.watch import watched
from upkeep.postgres.session import PostgresSession, Row

LOCK: Final = "10min"
"""How long it waits for transactions at each of its steps: nobody but changes of the table's schema waits behind it."""
RETRY: Final = ddl.DEFAULT_RETRY
CLEAN_RETRY: Final = ddl.LockRetry(attempts=2, budget=5.0, last_sleep=0.5)
"""For what is dropped of a run that was to stop: soon, or the next run does it."""


def apply(work: Work[PostgresSession]) -> Outcome:
    """Do what was planned; expected trouble becomes an outcome."""
    do: Callable[[DoneSoFar], None]
    if work.action.kind == plan.REBUILD:
        args = Rebuild.of(work.action)

        def do(done: DoneSoFar) -> None:
            _rebuild(work, args, done)
    else:
        left = Leftover.of(work.action)

        def do(_done: DoneSoFar) -> None:
            _drop_leftover(work, left)

    return outcomes.carry_out(work.action, do, lambda error: faults.classify(error, work.session.connection))


def undo(work: Work[PostgresSession], _outcome: Outcome) -> Outcome:
    """Say that there is nothing to take back."""

    def do(_done: DoneSoFar) -> None:
        raise RefusedError("there is nothing to take back: the index holds the same rows as before, in less space")

    return outcomes.carry_out(work.action, do, lambda error: faults.classify(error, work.session.connection))


# -- rebuilding --------------------------------------------------------------------------------------


def _rebuild(work: Work[PostgresSession], args: Rebuild, done: DoneSoFar) -> None:
    session, subject = work.session, work.action.subject
    work.checkpoint(f"looking at {subject}")
    _recheck(session, args)
    _sweep(session, args, checkpoint=work.checkpoint, sleep=work.sleep, retry=RETRY)
    before = _size(session, args.oid)
    _see_room(session, args, before)
    done.evidence = {"bytes_before": before}
    try:
        with ddl.building(session, lock=LOCK):
            statement = session.statement("reindex/reindex", index=args.identifier)
            watched(work, statement, table=args.table_oid, what=f"rebuilding {subject}")
    except (LeaseLostError, LedgerError):
        raise  # another run may be at work by now, or nothing can be recorded: nothing more is touched
    except Exception as error:  # noqa: BLE001 - whatever it was, what it leaves costs every write
        _clean_up(work, args, done, error)
        return
    now = _here(session, args)
    if now is None or not now["is_valid"]:
        raise ActionError("it was taken away, or made invalid, meanwhile; run again")
    after = _size(session, now["oid"])
    done.bytes = before
    done.evidence |= {"bytes_after": after, "checked": "not checked"}
    done.evidence |= {"checked": _checked(work, args, now["oid"])}
    done.message = f"from {view.amount(before)} to {view.amount(after)}; {done.evidence['checked']}"


def _recheck(session: PostgresSession, args: Rebuild) -> None:
    """Raise when the index is another one than was planned for, or when this is no time for it."""
    rows = session.rows("indexes", {"table": args.table_oid})
    row = next((one for one in rows if one["oid"] == args.oid), None)
    if row is None:
        raise StateChangedError("it is gone, or was built anew since it was planned for: plan again")
    if view.rebuild(row) != args:
        raise StateChangedError("it is another one than was planned for: plan again")
    server = {"is_replica": session.is_replica, "version_number": session.version_number, "version": session.version}
    refused = view.refusal(row, server, None)
    if refused is not None:
        raise RefusedError(refused[1])
    if row["is_held"]:
        who = holders.held_by(session, [args.table_oid, args.oid], writers=True)
        raise LockNotObtainedError(f"somebody changes {args.table}, or one of its indexes, right now{who}")
    old = observe.waits(session, [args.table_oid])
    if old:
        who = ", ".join(plan.holder(one) for one in old[: holders.SHOWN])
        raise LockNotObtainedError(f"it would have to wait for what is open for too long, or dumps: {who}")


def _see_room(session: PostgresSession, args: Rebuild, size: int) -> None:
    free = view.free_of(space.places(session), args.tablespace)
    if free is not None and free < view.ROOM * size:
        raise OverloadedError(view.room(size, free))


def _here(session: PostgresSession, args: Rebuild) -> Row | None:
    """Return what bears the index's name on its table by now."""
    rows = session.rows("indexes", {"table": args.table_oid})
    return next((row for row in rows if (row["schema"], row["name"]) == (args.schema_, args.name)), None)


def _size(session: PostgresSession, oid: int) -> int:
    size: int | None = session.rows("reindex/size", {"index": oid})[0]["bytes"]
    return size or 0


def _checked(work: Work[PostgresSession], args: Rebuild, oid: int) -> str:
    """Look whether the new index is in order and holds every row of its table; return what came of it.

    Raises what the server says when it is not.
    """
    if args.method != "btree":
        return f"not checked: amcheck knows B-trees only, this is {args.method}"
    function = observe.function(work.session, "bt_index_check")
    if function is None:
        return "not checked: amcheck is not installed, or our role may not call it"
    statement = work.session.statement("reindex/check", function=function)
    try:
        with ddl.building(work.session, lock=LOCK):
            watched(
                work, statement, params={"index": oid}, table=args.table_oid, what=f"checking {work.action.subject}"
            )
    except (StopError, CancelledError, LockNotObtainedError) as error:
        return f"not checked: {error}"  # it is rebuilt all the same, and that is what must be told
    return "checked: it is in order and holds every row of its table"


# -- what is left over -------------------------------------------------------------------------------


def _clean_up(work: Work[PostgresSession], args: Rebuild, done: DoneSoFar, error: Exception) -> None:
    """Drop what a rebuilding that ended early has left; raise its error, unless the index is rebuilt all the same."""
    session, rebuilt, said = work.session, "", f"what is left of {work.action.subject}, the next run drops"
    # on another connection: ours may be lost, or may send nothing more after a cancel
    with contextlib.suppress(UpkeepError, psycopg.Error), session.beside("cleaning") as other:
        now = _here(other, args)
        if now is not None and now["oid"] != args.oid and now["is_valid"]:
            rebuilt = "it is rebuilt, and "
            done.bytes = done.evidence["bytes_before"]
            done.evidence |= {"bytes_after": _size(other, now["oid"]), "checked": "not checked: it ended early"}
        left = _sweep(other, args, checkpoint=go_on, sleep=time.sleep, retry=CLEAN_RETRY)
        said = f"what it left ({', '.join(left)}) is dropped" if left else "nothing is left over"
        if rebuilt:
            done.message = f"{rebuilt}{said}; its last step ended early: {_text(error, session)}"
            return
    said = f"{rebuilt}{said}"
    if isinstance(error, StopError):
        raise StopError(error.code, f"{error}; {said}") from error
    meaning = error if isinstance(error, ActionError) else faults.classify(error, session.connection)
    if meaning is None:
        raise error
    raise type(meaning)(f"{meaning}; {said}", meaning.evidence) from error


def _text(error: Exception, session: PostgresSession) -> str:
    return str(faults.classify(error, session.connection) or error)


def _sweep(
    session: PostgresSession,
    args: Rebuild,
    *,
    checkpoint: Checkpoint,
    sleep: Callable[[float], None],
    retry: ddl.LockRetry,
) -> list[str]:
    """Drop what interrupted rebuildings have left of this index, and return what that was."""
    dropped: list[str] = []
    rows = session.rows("indexes", {"table": args.table_oid})
    for row, of in view.leftovers(rows):
        if (of["schema"], of["name"]) != (args.schema_, args.name):
            continue
        left = view.leftover(row, of)
        if row["is_held"]:
            raise LockNotObtainedError(f"somebody still builds, or drops, {_name(left)}")
        _drop(session, left.identifier, _name(left), checkpoint=checkpoint, sleep=sleep, retry=retry)
        dropped.append(_name(left))
    return dropped


def _drop_leftover(work: Work[PostgresSession], args: Leftover) -> None:
    session = work.session
    work.checkpoint(f"looking at {work.action.subject}")
    rows = session.rows("indexes", {"table": args.table_oid})
    row = next((one for one in rows if one["oid"] == args.oid), None)
    if row is None:
        raise AlreadyDoneError("it is gone already")
    now = [view.leftover(one, of) for one, of in view.leftovers(rows) if one["oid"] == args.oid]
    if not now or now[0].model_dump(exclude={"whole_oid"}) != args.model_dump(exclude={"whole_oid"}):
        raise StateChangedError(f"it is no leftover of {args.whole} any more: plan again")
    if row["is_held"]:
        who = holders.held_by(session, [args.table_oid, args.oid], writers=True)
        raise LockNotObtainedError(f"somebody changes its table, or builds it, right now{who}")
    _drop(session, args.identifier, _name(args), checkpoint=work.checkpoint, sleep=work.sleep, retry=RETRY)


def _drop(
    session: PostgresSession,
    identifier: sql.Identifier,
    name: str,
    *,
    checkpoint: Checkpoint,
    sleep: Callable[[float], None],
    retry: ddl.LockRetry,
) -> None:
    ddl.run_alone(
        session,
        session.statement("drop_index", index=identifier),
        checkpoint=checkpoint,
        sleep=sleep,
        retry=retry,
        lock_seconds=ddl.QUIET_SECONDS,
        what=f"dropping {name}",
    )


def _name(left: Leftover) -> str:
    return names.display(left.schema_, left.name)
