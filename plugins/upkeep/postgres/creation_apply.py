"""How one partition is made: alone first, then attached, so that readers and writers hardly notice.

Everything happens in one transaction, so a kill at any moment leaves either nothing or a partition:

1. create the table like the parent, set it up like its newest sibling, with a CHECK that says its bounds;
2. when rows of the default partition belong to it: lock the parent, move them in one statement;
3. ATTACH, and drop the CHECK.

Rows are moved under ACCESS EXCLUSIVE on the parent, because a reader that had already looked up the
partitions would miss the new one, and a writer that had already chosen the default would fail. A snapshot
taken before sees the rows where they were: they are inserted by the very transaction that attaches.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast
from zoneinfo import ZoneInfo

import psycopg
from psycopg import errors, sql

from upkeep.plan import Action, Json, Outcome, OutcomeStatus, ReasonCode
from upkeep.postgres import bounds, catalog, ddl, names
from upkeep.postgres.bounds import Axis
from upkeep.postgres.creation_statements import Args, attach, make, move, table
from upkeep.postgres.session import ConnectionLostError, PostgresSession

if TYPE_CHECKING:
    from collections.abc import Iterator

    from upkeep.jobs import Work

_LOCK_SPACE: Final = 0x75706B65 << 32
"""Advisory locks of ours: "upke", then the parent's object id."""
KEEP_OUT: Final = "upkeep_keep_out"
"""Name of the CHECK on a large default partition that spares ATTACH the scan."""
_GONE: Final = (errors.UndefinedTable, errors.UndefinedColumn, errors.UndefinedObject, errors.InvalidSchemaName)
_CHANGED: Final = (errors.DuplicateTable, errors.DuplicateObject, errors.CheckViolation, errors.InvalidObjectDefinition)


class StateChangedError(Exception):
    """What the plan was made from is no longer so."""


class ConservationError(Exception):
    """Not as many rows arrived as left: the transaction was rolled back."""


def apply(work: Work) -> Outcome:
    """Carry the creation out; expected trouble becomes an outcome."""
    started = time.monotonic()
    action, session = work.action, cast("PostgresSession", work.session)

    def outcome(status: OutcomeStatus, code: ReasonCode | None = None, **rest: Any) -> Outcome:
        seconds = time.monotonic() - started
        return Outcome(action_id=action.id, status=status, reason_code=code, seconds=seconds, **rest)

    try:
        with claim(session, action.args["parent"]["oid"]):
            evidence = _create(work, session)
    except ddl.LockNotObtainedError as error:
        return outcome(OutcomeStatus.SKIPPED, ReasonCode.LOCK_NOT_OBTAINED, message=str(error))
    except ddl.HeldTooLongError as error:
        return outcome(OutcomeStatus.SKIPPED, ReasonCode.LOCK_NOT_OBTAINED, message=str(error))
    except StateChangedError as error:
        return outcome(OutcomeStatus.SKIPPED, ReasonCode.STATE_CHANGED, message=str(error))
    except ConservationError as error:
        return outcome(OutcomeStatus.FAILED, ReasonCode.CONSERVATION, message=str(error))
    except ConnectionLostError as error:
        return outcome(OutcomeStatus.FAILED, ReasonCode.CONNECTION_LOST, message=str(error))
    except (*_GONE, *_CHANGED) as error:
        return outcome(OutcomeStatus.SKIPPED, ReasonCode.STATE_CHANGED, message=said(error))
    except psycopg.Error as error:
        return outcome(OutcomeStatus.FAILED, ReasonCode.ERROR, message=said(error))
    message = evidence.pop("message", None)
    return outcome(OutcomeStatus.DONE, rows=evidence["rows_copied"], message=message, evidence=evidence)


def said(error: psycopg.Error) -> str:
    """Return what the server said, without the detail, which may show values of rows."""
    hint = f" ({error.diag.message_hint})" if error.diag.message_hint else ""
    return f"{error.diag.message_primary or type(error).__name__}{hint}"


@contextmanager
def claim(session: PostgresSession, parent: int) -> Iterator[None]:
    """Hold the right to change a parent's partitions, against other runs of Upkeep; never waits.

    Raises `ddl.LockNotObtainedError`. The server releases it when the session ends, however it ends.
    """
    key = {"key": _LOCK_SPACE | parent}
    if not session.rows("advisory_lock", key)[0]["obtained"]:
        raise ddl.LockNotObtainedError("another run of Upkeep works on this table; the next run tries again")
    try:
        yield
    finally:
        if not session.connection.closed:
            session.rows("advisory_unlock", key)


def _create(work: Work, session: PostgresSession) -> Json:
    args = work.action.args
    existing = _recheck(session, args)
    if existing is not None:
        message = f"{existing.subject} was there already"
        return {"child_oid": existing.oid, "rows_copied": 0, "rows_deleted": 0, "message": message}
    parent, default = table(args, "parent"), args["default"]
    quiet: list[sql.Composable] = [parent, *([table(args, "default")] if default else [])]
    columns = [row["name"] for row in session.rows("columns", {"oid": args["parent"]["oid"]})] if default else []

    def body() -> Json:
        for statement in make(args):
            session.execute(statement)
        counts = {"rows_copied": 0, "rows_deleted": 0}
        if args["move"]:
            ddl.lock(session, parent, "access exclusive")
            ddl.lock(session, table(args, "default"), "access exclusive")
            counts = _move(session, args, columns)
        elif default and args["live"]:
            ddl.lock(session, parent, "share row exclusive")
        for statement in attach(args):
            session.execute(statement)
        oid = session.rows("child_oid", args["child"])[0]["oid"]
        _replica_index(session, args, oid)
        return {"child_oid": oid, **counts}

    what = f"creating {names.display(args['child']['schema'], args['child']['name'])}"
    return ddl.attempt(session, body, checkpoint=work.checkpoint, sleep=work.sleep, quiet=quiet, what=what)


def _recheck(session: PostgresSession, args: Args) -> catalog.Partition | None:
    """Return the partition when it is there already; raise `StateChangedError` when the plan no longer holds."""
    parent = args["parent"]
    rows = session.rows("parent_state", {"oid": parent["oid"]})
    if not rows or (rows[0]["schema"], rows[0]["name"]) != (parent["schema"], parent["name"]):
        raise StateChangedError("the table was dropped or renamed since it was observed")
    planned = args["default"]["oid"] if args["default"] else None
    if rows[0]["default_oid"] != planned:
        raise StateChangedError("the default partition is another one than was observed")
    axis = Axis(args["type"], ZoneInfo("UTC"), "id")
    lower, upper = axis.read(args["lower"]), axis.read(args["upper"])
    for partition in catalog.partitions(session, [parent["oid"]]):
        if partition.is_default or partition.bounds is None:
            continue
        low, high = bounds.read(partition.bounds, axis)
        if (low, high) == (lower, upper) and not partition.detach_pending:
            return partition
        if low < upper and lower < high:
            raise StateChangedError(f"{partition.subject} has meanwhile taken part of the range")
    return None


def _move(session: PostgresSession, args: Args, columns: list[str]) -> dict[str, int]:
    row = session.execute(move(args, columns)).fetchall()[0]
    deleted, copied = int(row["rows_deleted"]), int(row["rows_copied"])
    if deleted != copied:
        raise ConservationError(f"{deleted} rows left the default partition, {copied} arrived; rolled back")
    if deleted > args["move_at_most"]:
        raise StateChangedError(f"by now {deleted} rows would have to move, more than {args['move_at_most']}")
    return {"rows_copied": copied, "rows_deleted": deleted}


def _replica_index(session: PostgresSession, args: Args, child: int) -> None:
    index = args["like"]["replica_index"]
    if args["like"]["replica_identity"] != "i" or index is None:
        return
    found = session.rows("child_index", {"parent_index": index, "child": child})
    if found:
        text = sql.SQL("alter table only {} replica identity using index {}")
        session.execute(text.format(table(args, "child"), sql.Identifier(found[0]["name"])))


def undo(session: PostgresSession, action: Action, outcome: Outcome) -> Outcome:
    """Detach and drop the partition that the action made, while it is empty; else say why not."""
    args, child = action.args, outcome.evidence.get("child_oid")

    def refused(text: str) -> Outcome:
        return Outcome(
            action_id=action.id, status=OutcomeStatus.SKIPPED, reason_code=ReasonCode.STATE_CHANGED, message=text
        )

    known = {p.oid: p for p in catalog.partitions(session, [args["parent"]["oid"]])}
    if child not in known:
        return refused("the partition is no longer attached; nothing was changed")
    partition = known[child]
    parent, name = table(args, "parent"), partition.full_name.identifier

    def body() -> bool:
        ddl.lock(session, parent, "access exclusive")
        ddl.lock(session, name, "access exclusive")
        if session.execute(sql.SQL("select from only {} limit 1").format(name)).fetchall():
            return False
        session.execute(session.statement("detach_partition", parent=parent, child=name))
        session.execute(session.statement("drop_table", table=name))
        return True

    try:
        with claim(session, args["parent"]["oid"]):
            what = f"undoing {partition.subject}"
            done = ddl.attempt(session, body, checkpoint=_no_checkpoint, sleep=time.sleep, quiet=[parent], what=what)
    except ddl.LockNotObtainedError as error:
        skipped = OutcomeStatus.SKIPPED
        return Outcome(
            action_id=action.id, status=skipped, reason_code=ReasonCode.LOCK_NOT_OBTAINED, message=str(error)
        )
    if not done:
        return refused(f"{partition.subject} holds rows; it stays")
    return Outcome(action_id=action.id, status=OutcomeStatus.DONE, message=f"{partition.subject} detached and dropped")


def _no_checkpoint(message: str = "", *, rows: int = 0) -> None:
    del message, rows
