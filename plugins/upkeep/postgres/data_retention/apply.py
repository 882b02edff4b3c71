"""Carrying out one action of retention: expected trouble becomes an outcome with what was done so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import psycopg
from psycopg import errors

from upkeep.fleet import RetainPolicy
from upkeep.jobs import outcomes
from upkeep.jobs.contract import TOLERATED_SHARE, Work
from upkeep.jobs.errors import ActionError, ConservationError, LockNotObtainedError, StateChangedError
from upkeep.jobs.outcomes import DoneSoFar
from upkeep.model import Action, Json, Outcome
from upkeep.postgres import faults, holders, names
from upkeep.postgres.data_retention import archive_table, counting, covered, detach, drop, undroppable
from upkeep.postgres.data_retention.args import (
    CleaningUp,
    Detaching,
    Dropping,
    Files,
    Filing,
    Known,
    Moving,
    Rows,
    Settling,
    Way,
)
from upkeep.postgres.data_retention.batches import Sweep, deleting
from upkeep.postgres.data_retention.detach import Tools
from upkeep.postgres.data_retention.doomed import Doomed
from upkeep.postgres.data_retention.files import archive, restore
from upkeep.postgres.data_retention.files.archive import FileArchive
from upkeep.postgres.data_retention.row_plan import clean_up_statement
from upkeep.postgres.data_retention.throttle import Pace
from upkeep.postgres.data_retention.view_from_frames import retain_policies
from upkeep.postgres.session import PostgresSession
from upkeep.stores.draft import StoreError
from upkeep.stores.shelf import Shelf


def apply(work: Work[PostgresSession]) -> Outcome:
    """Carry one action out.

    Raises
    ------
    LeaseLostError, StopError, OverLimitError, CancelledError
        The run must stop; rows done so far are in the ledger as a note.
    """
    return outcomes.carry_out(
        work.action,
        lambda done: _KINDS[work.action.kind](work, done),
        lambda error: _classify(work, error),
        note=work.note,
        so_far=DoneSoFar(rows=0),
    )


def _classify(work: Work[PostgresSession], error: Exception) -> ActionError | None:
    if isinstance(error, StoreError):
        return ActionError(str(error))
    known = faults.classify(error, work.session.connection)
    if isinstance(error, errors.LockNotAvailable) and isinstance(known, LockNotObtainedError):
        return LockNotObtainedError(_held(work))
    if isinstance(error, psycopg.Error) and type(known) is ActionError:
        return ActionError(_refused(work.action, error))
    return known


def _held(work: Work[PostgresSession]) -> str:
    args = work.action.args
    tables = [*args.get("leaves", ()), *args.get("tables", ()), args, args.get("archive", {})]
    oids = [table["oid"] for table in tables if "oid" in table]
    return f"others held the table for too long{holders.held_by(work.session, oids)}"


def _refused(action: Action, error: psycopg.Error) -> str:
    """Return what the server said, and what to do where the archive refused a row."""
    text = faults.describe(error)
    if "archive" not in action.args:
        return text
    if isinstance(error, errors.UniqueViolation | errors.ExclusionViolation):
        return (
            f"a row is in the archive already that has the same key ({error.diag.constraint_name}): nothing of this "
            "batch was moved or changed. Compare the two; they may be two different rows, so nothing in the archive "
            "may go unless all its columns are equal: else give the archive a key that tells them apart"
        )
    # "No partition of relation … found for row" is a check violation that names no constraint (execPartition.c).
    if isinstance(error, errors.CheckViolation) and error.diag.constraint_name is None:
        return f"{text}; create the archive's partition for these rows"
    return text


def _tools(work: Work[PostgresSession]) -> Tools:
    return Tools(work.session, work.checkpoint, work.sleep)


def _detach(work: Work[PostgresSession], done: DoneSoFar) -> None:
    policy = policy_of(work.action, work)
    # Before any lock: reading what depends on it may take longer than a lock may be held.
    args = Detaching.of(work.action)
    undroppable.require_free(work.session, args.oid)
    if args.mode != "finalize":  # nobody sees its rows any more
        _stay_within(work, args.oid)
    done.evidence = detach.detach(_tools(work), args, grace=policy.grace, zone=policy.zone)
    done.rows = done.evidence.get("rows", work.action.rows or 0)


def _drop(work: Work[PostgresSession], done: DoneSoFar) -> None:
    args = Dropping.of(work.action)
    _stay_within(work, args.oid)
    done.evidence = drop.drop(_tools(work), args)
    done.rows, done.bytes = work.action.rows or 0, work.action.bytes


def _stay_within(work: Work[PostgresSession], oid: int) -> None:
    """Count a table that goes whole before it goes, with nothing locked.

    Where that takes too long its size tells. A table that has not grown by a page holds what it held when it was
    planned for: then the estimate was wrong, and planning again would not mend that.

    Raises
    ------
    OverLimitError
        It holds more than was approved.
    """
    session = work.session
    here = detach.place(session, oid)
    if work.most is None or here is None or here.kind not in ("r", "p"):
        return
    rows = counting.count(session, here.table, work.most + 1)
    if rows is not None and rows <= work.most:
        return
    # Counted: any growth tells. Not counted: only a growth beyond what is tolerated of a count.
    planned = (work.action.bytes or 0) * (1 if rows is not None else 1 + TOLERATED_SHARE)
    if session.rows("data_retention/bytes", {"oid": here.oid})[0]["bytes"] > planned:
        work.allow(work.most + 1)


def _delete(work: Work[PostgresSession], done: DoneSoFar) -> None:
    _sweep(work, done, Rows.of(work.action))


def _archive(work: Work[PostgresSession], done: DoneSoFar) -> None:
    _sweep(work, done, (Filing if "files" in work.action.args else Moving).of(work.action))


def _settle(work: Work[PostgresSession], done: DoneSoFar) -> None:
    settled = _settled(work, _shelf(work, Settling.of(work.action).files))
    done.evidence = settled.evidence()
    if settled.unknown:
        raise ActionError(
            f"this server cannot know what became of the transactions of {len(settled.unknown)} file(s) (too long ago, "
            "or it is a copy, was restored, promoted or started again since); the first is "
            f"{settled.unknown[0]}: nothing was removed and they do not count. If this is the only server with this "
            "archive, compare them with the table, then remove file and manifest, or move the manifest from "
            "_undecided to _manifests; a copy of a server needs an archive location of its own"
        )


def _restore(work: Work[PostgresSession], done: DoneSoFar) -> None:
    shelf, session = _shelf(work, Files(**work.action.args["files"])), work.session
    settled = archive.settle(session, shelf, work.checkpoint, work.sleep)
    file = work.action.args["manifest"]["file"]
    if file in settled.unknown_files:
        raise ActionError(
            f"{file}: this server cannot know (yet) what became of a transaction that archived or restored it; "
            "nothing of it was loaded: look at its note in _undecided, compare it with the table, then remove it or "
            "move it to _manifests (_restored)"
        )
    done.evidence, trouble = restore.restore(work, shelf)
    done.rows = done.evidence["rows_restored"]
    if trouble is not None:
        raise StoreError(f"{trouble}; its rows are in the table, and the next run notes that")


def _shelf(work: Work[PostgresSession], files: Files) -> Shelf:
    session = work.session
    return Shelf.open(files.location, files.schema, files.name, session.identity, session.instance)


def _settled(work: Work[PostgresSession], shelf: Shelf) -> archive.Settled:
    """Decide what earlier runs left undecided."""
    session = work.session
    settled = archive.settle(session, shelf, work.checkpoint, work.sleep)
    if settled.missing:
        raise ConservationError(
            f"{settled.missing[0]} is not there, but its rows are gone from the table: find out who removed it, put it "
            "back, or restore the rows from a backup"
        )
    return settled


def _clean_up(work: Work[PostgresSession], done: DoneSoFar) -> None:
    session = work.session
    cleaned = []
    for table in CleaningUp.of(work.action).tables:
        here = detach.place(session, table.oid)
        if here is None:
            continue
        work.checkpoint(f"statistics of {here.subject}")
        session.execute(session.statement(clean_up_statement(table), table=here.table))
        cleaned.append(here.subject)
    done.evidence = {"cleaned": cleaned}


_KINDS: Final[Mapping[str, Callable[[Work[PostgresSession], DoneSoFar], None]]] = {
    "detach_partition": _detach,
    "drop_partition": _drop,
    "delete_rows": _delete,
    "archive_rows": _archive,
    "archive_partition": _archive,
    "settle_files": _settle,
    "restore_file": _restore,
    "analyze": _clean_up,
}


def policy_of(action: Action, work: Work[PostgresSession]) -> RetainPolicy:
    """Return the policy that an action's table belongs to."""
    table = names.parse(action.subject).exact
    globs = []
    for name, policy in retain_policies(work.target).items():
        pattern = names.parse(name)
        if policy.retain is not None and pattern.matches(table.schema, table.name):
            if not pattern.is_glob:
                return policy.retain
            globs.append(policy.retain)
    if not globs:
        raise StateChangedError(f"the fleet file says nothing of {action.subject} any more")
    return globs[0]


def _sweep(work: Work[PostgresSession], done: DoneSoFar, args: Rows) -> None:
    """Delete or move the due rows of all leaves that the action names."""
    session = work.session
    files = _into_files(work, args) if isinstance(args, Filing) else None
    remove = files or (archive_table.archiving(session, args) if isinstance(args, Moving) else deleting(session))
    sweep = Sweep(session, remove, work.checkpoint, work.sleep, work.most, work.allow)
    sweep.pace = files.pace if files else Pace()
    # Taken before the first row goes: the gate after the run tells by it late arrivals from rows that were left
    # behind.
    snapshot = session.rows("data_retention/clock")[0]["snapshot"]
    seen = covered.seen(work)
    if seen is not None:
        snapshot = f"{seen}:{seen}:"  # what was not looked at, or is in no backup, arrived late
    missing, swept = list[str](), list[Doomed]()
    try:
        for leaf in args.leaves:
            # By object id: since the plan was made its name may have gone to another table.
            here = detach.place(session, leaf.oid)
            if here is None:
                missing.append(leaf.name)
                continue
            doomed = Doomed.from_args(args, Known(leaf.oid, here.schema, here.name))
            doomed = replace(doomed, seen=seen)
            _sweep_leaf(sweep, doomed, leaf.way)
            swept.append(doomed)
    finally:
        done.rows = sweep.tally.rows
        done.evidence = _evidence(sweep, args, snapshot)
        if files is not None:
            done.evidence |= files.evidence()
        if missing:
            done.evidence["missing"] = missing
    # A partition that is gone was archived and dropped by another run: what was wanted is so.
    if missing and len(missing) == len(args.leaves) and work.action.kind != "archive_partition":
        raise StateChangedError("none of the tables that were planned for is there any more")
    # Only now: what was done is in the evidence by then, whatever this raises.
    if files is not None:
        files.finish()
    if sweep.tally.held:
        raise LockNotObtainedError(f"{sweep.tally.held} range(s) were left to the next run: {sweep.tally.last_error}")
    covered.tell(work, swept, done)


def _into_files(work: Work[PostgresSession], args: Filing) -> FileArchive:
    """Return what removes ranges into files, with everything decided that an earlier run left undecided."""
    shelf, session = _shelf(work, args.files), work.session
    location = shelf.store.location
    known = {row["location"]: row["id"] for row in work.observation.frames.get("locations", ())}.get(location)
    # The order matters: first that it is the same location as before, then that no other server uses it, and only then
    # is decided what files of the past count.
    shelf.store.prepare(known)
    shelf.claim()
    _settled(work, shelf)
    action = work.action
    found = FileArchive(session, shelf, args, action.subject, action.id, archive.pace(), work.sleep)
    found.known, found.note = known, work.note
    return found


def _sweep_leaf(sweep: Sweep, doomed: Doomed, way: Way) -> None:
    for _ in range(MAX_PASSES):  # rows that refer to each other go level by level
        start = sweep.tally.rows
        sweep.run(doomed, way=way)
        if not doomed.has_references or sweep.tally.rows == start:
            break


MAX_PASSES: Final = 20
"""Levels of rows that refer to rows of the same table, removed in one run."""


def _evidence(sweep: Sweep, args: Rows, snapshot: str) -> Json:
    tally = sweep.tally
    found: dict[str, Any] = {
        "rows_deleted": tally.rows,
        "batches": tally.batches,
        "ranges_left": tally.held,
        "sweep_seconds": round(tally.seconds, 3),
        "waited_seconds": round(sweep.throttle.waited, 1),
        "cut_off": args.cut_off,
        "snapshot": snapshot,
    }
    if isinstance(args, Moving | Filing):
        found |= {"rows_copied": tally.rows, "rows_archived": tally.archived, "proof": args.proof}
        if args.proof != "count":
            found |= {"hash_source": f"{tally.hash_source:016x}", "hash_archive": f"{tally.hash_archive:016x}"}
    return found
