"""Dropping a table that was a partition: after its grace period, and only when nothing about it has changed.

Looked at again under the lock: the same object, detached still, with our marker of the same detaching, past
its date by the server's clock, where and as it was left, nothing else depending on it, and empty where its rows
should be in the archive. Never with CASCADE.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from psycopg import errors, sql

from upkeep import words
from upkeep.jobs.data_retention.cutoff import moment
from upkeep.jobs.data_retention.marker import drop_after, read_marker
from upkeep.jobs.errors import AlreadyDoneError, StateChangedError
from upkeep.model import Json
from upkeep.postgres import ddl, faults
from upkeep.postgres.data_retention import counting
from upkeep.postgres.data_retention.args import Dropping
from upkeep.postgres.data_retention.detach import Place, Tools, place
from upkeep.postgres.data_retention.detached import difference

COUNTED_UNDER_LOCK: Final = 50_000
"""So many rows are counted once more under the lock, in some 5 ms; nobody reads the table through its parent then."""


def drop(tools: Tools, args: Dropping) -> Json:
    """Drop the detached table that the action names; return the evidence.

    Raises
    ------
    AlreadyDoneError
        It is gone.
    StateChangedError
        It is not, or no longer, what was planned for.
    LockNotObtainedError
        Others held the table for too long.
    """
    session = tools.session
    here = _expected(tools, args)
    # Without a lock first: for many rows this takes seconds, which nobody should spend waiting for us.
    rows = _as_left(tools, here, args, count=lambda limit: counting.count(session, here.table, limit))
    # DROP TABLE would take ACCESS EXCLUSIVE on every table that these point to, all at once: one by one each is short.
    for constraint in args.foreign_keys:
        _drop_foreign_key(tools, here, constraint)

    def count_under_lock(limit: int) -> int | None:
        if rows is None or rows > COUNTED_UNDER_LOCK:
            return rows  # many: whether the table grew tells what arrived since
        statement = session.statement("data_retention/count", table=here.table, limit=sql.Literal(limit))
        return int(session.execute(statement).fetchall()[0]["found"])

    def body() -> None:
        ddl.lock_tree(session, here.table, "access exclusive")
        # All of it again: only under the lock does it stay as it looks.
        _as_left(tools, _expected(tools, args), args, count=count_under_lock)
        if args.must_be_empty and _holds_rows(tools, here):
            raise StateChangedError(f"{here.subject} holds rows that are not in the archive; the next run moves them")
        session.execute(session.statement("drop_table", table=here.table))

    try:
        ddl.attempt(session, body, checkpoint=tools.checkpoint, sleep=tools.sleep, what=f"dropping {here.subject}")
    # Never CASCADE: somebody made something of it since we looked, and that is a reason to keep it.
    except errors.DependentObjectsStillExist as error:
        raise StateChangedError(
            f"{here.subject} is still needed: {error.diag.message_detail or faults.describe(error)}"
        ) from error
    return {"oid": args.oid, "partition": here.subject}


def _expected(tools: Tools, args: Dropping) -> Place:
    here = place(tools.session, args.oid)
    if here is None:
        raise AlreadyDoneError("the table is gone already", {"oid": args.oid})
    if here.is_partition:
        raise StateChangedError(f"{here.subject} is a partition again; its marker is out of date")
    marker = read_marker(here.comment)
    if marker is None or marker.get("bounds") != args.bounds or marker.get("parent_oid") != args.parent_oid:
        raise StateChangedError(f"{here.subject} does not carry Upkeep's marker of this detaching any more")
    # Attached and detached again: the plan counted its grace period from the first time.
    if args.detached_at and marker["at"] != args.detached_at:
        raise StateChangedError(f"{here.subject} was detached again since; its grace period begins anew")
    if marker.get("oid", here.oid) != here.oid:
        raise StateChangedError(f"{here.subject} carries the marker of another table")
    now = moment(tools.session.rows("data_retention/clock")[0]["now"])
    # The longer promise holds: that of the detaching, or that of today's policy.
    until = max(drop_after(marker), moment(args.kept_until or marker["drop_after"]))
    if now < until:
        raise StateChangedError(f"{here.subject} is kept until {words.moment(until)}")
    return here


def _as_left(tools: Tools, here: Place, args: Dropping, *, count: Callable[[int], int | None]) -> int | None:
    """See that the table is where and as it was left; return how many rows it holds, as far as that was recorded.

    What must be empty is looked at for rows, whatever size it has.
    """
    left = {"partition": args.partition, **(read_marker(here.comment) or {})}
    empty = args.must_be_empty
    known = isinstance(left.get("rows"), int) and not empty
    rows = count(left["rows"] + 1) if known else None
    if known and rows is None:
        raise StateChangedError(f"how many rows {here.subject} holds could not be counted in time: it stays")
    now = next(iter(tools.session.rows("detached", {"oid": here.oid})), None)
    if now is None:
        raise StateChangedError(f"{here.subject} does not carry Upkeep's marker any more")
    if now["dependants"]:
        raise StateChangedError(f"{here.subject} is still needed: {', '.join(now['dependants'])} depends on it")
    changed = difference(
        left, subject=here.subject, pages=0 if empty else now["pages"], rows=rows, objects=now["objects"]
    )
    if changed is not None:
        raise StateChangedError(f"{here.subject} is not as it was left: {changed}")
    return rows


def _drop_foreign_key(tools: Tools, here: Place, constraint: str) -> None:
    """Drop one foreign key of the table, in a transaction of its own: each locks another table."""
    statement = tools.session.statement("drop_constraint", table=here.table, name=sql.Identifier(constraint))
    what = f"dropping foreign key {constraint} of {here.subject}"
    ddl.run(tools.session, [statement], checkpoint=tools.checkpoint, sleep=tools.sleep, what=what)


def _holds_rows(tools: Tools, here: Place) -> bool:
    statement = tools.session.statement("data_retention/not_empty", table=here.table)
    return bool(tools.session.execute(statement).fetchall()[0]["found"])
